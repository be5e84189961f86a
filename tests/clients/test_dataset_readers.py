"""pycolmap and nerfstudio's own readers open our sets: their cameras show the mesh where the masks are."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.workflows.dataset.run import DatasetOptions, dataset
from gen3d_tools.workflows.running.runs import RunOptions
from gen3d_tools.workflows.samples.selection import SampleSelection

HERE = Path(__file__).parent
VIEWS, SIZE, NAME, POINTS = 5, 160, "lamp-0002", 2000
IOU = 0.99
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's camera axes to OpenCV's


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """The folder of a lamp in each form, and its mesh."""
    folder = tmp_path_factory.mktemp("sets")
    for form in ("colmap", "nerfstudio", "blender"):
        what = DatasetOptions(file_format=form, views=VIEWS, size=SIZE, points=POINTS)
        choice = SampleSelection(seeds="2", classes="lamp")
        dataset("shapes", choice, what=what, options=RunOptions(out=folder / form, device="cpu"))
    return folder, trimesh.load_mesh(folder / "colmap" / NAME / "mesh.glb")


def shown_where_masks_are(mesh, cam2world, lens, mask):
    """Whether a camera in OpenCV's axes, with its lens in pixels, shows the mesh where a mask is."""
    sides = np.diag([1 / SIZE, 1 / SIZE, 1.0])
    camera = Camera(torch.from_numpy(np.asarray(cam2world)).float(), torch.from_numpy(sides @ np.asarray(lens)).float())
    shape = render_mesh(mesh, camera, SIZE, supersample=1).mask[0].numpy() > 0.5
    wanted = np.asarray(Image.open(mask)) > 0
    return (shape & wanted).sum() / (shape | wanted).sum() > IOU


def test_pycolmap(sets):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed; pip install pycolmap")
    folder, mesh = sets[0] / "colmap" / NAME, sets[1]
    model = pycolmap.Reconstruction(str(folder / "sparse/0"))
    assert (len(model.images), len(model.cameras), len(model.points3D)) == (VIEWS, 1, POINTS)
    for image in model.images.values():
        assert (folder / "images" / image.name).is_file()
        lens = model.cameras[image.camera_id].calibration_matrix()
        cam2world = np.eye(4)
        cam2world[:3] = image.cam_from_world().inverse().matrix()
        assert shown_where_masks_are(mesh, cam2world, lens, folder / "masks" / f"{image.name}.png")
        point = np.array([0.1, -0.2, 0.05])
        seen = lens @ (np.linalg.inv(cam2world)[:3] @ [*point, 1])
        assert image.project_point(point) == pytest.approx(seen[:2] / seen[2], abs=1e-3)
    places = np.array([point.xyz for point in model.points3D.values()])
    assert trimesh.proximity.ProximityQuery(mesh).vertex(places)[0].max() < 0.03
    colors = np.array([point.color for point in model.points3D.values()])
    assert colors.std(0).max() > 10  # a lamp of several colours


@pytest.fixture(scope="session")
def nerfstudio():
    """The folder of nerfstudio's package, which stays outside the environment."""
    folder = HERE / "python"
    if not (folder / "nerfstudio").is_dir():
        pytest.skip("nerfstudio is not installed; sh tests/clients/install.sh")
    return folder


@pytest.mark.parametrize("form", ["nerfstudio", "colmap", "blender"])
def test_nerfstudio(sets, nerfstudio, answer_of, monkeypatch, form):
    folder, mesh = sets[0] / form / NAME, sets[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(nerfstudio), os.environ.get("PYTHONPATH", "")]))
    found = answer_of(sys.executable, HERE / "nerfstudio_probe.py", form, folder)
    assert len(found["views"]) == VIEWS
    for view in found["views"]:
        cam2world = np.eye(4)
        cam2world[:3] = view["cam2world"]
        lens = [[view["fx"], 0, view["cx"]], [0, view["fy"], view["cy"]], [0, 0, 1]]
        assert (view["width"], view["height"]) == (SIZE, SIZE)
        suffix = ".png.png" if form == "colmap" else ".png"
        mask = folder / "masks" / f"{Path(view['image']).stem}{suffix}"
        assert shown_where_masks_are(mesh, cam2world @ FLIP, lens, mask)
        if form == "nerfstudio":
            assert Path(view["mask"]) == mask
            assert Path(view["depth"]).is_file()
    if form == "nerfstudio":
        assert found["unit"] == 0.001
    if form != "blender":
        places = np.array(found["points"])
        assert len(places) == POINTS
        assert trimesh.proximity.ProximityQuery(mesh).vertex(places)[0].max() < 0.03
