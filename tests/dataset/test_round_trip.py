"""What other programs are given fits together: cameras read back show the mesh where masks and depths have it.

With the bundled model, whose surfaces are real ones, and without anything made coarse.
"""

import json

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.formats import load_cameras, read_eg3d_labels
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.workflows.dataset.layout import split_of
from gen3d_tools.workflows.dataset.options import FORMATS, KINDS
from gen3d_tools.workflows.dataset.run import DatasetOptions, dataset
from gen3d_tools.workflows.running.runs import RunOptions
from gen3d_tools.workflows.samples.selection import SampleSelection

pytestmark = pytest.mark.slow
VIEWS, SIZE, NAME = 6, 192, "chair-0004"
IOU = 0.99


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """A chair in every form; the mesh is made once, it is the same."""
    folder = tmp_path_factory.mktemp("sets")
    for form in FORMATS:
        include = KINDS if form == "nerfstudio" else ("depth", "masks")
        what = DatasetOptions(file_format=form, views=VIEWS, size=SIZE, include=include, resolution=128)
        choice = SampleSelection(seeds="4", classes="chair")
        run = dataset("shapes", choice, what=what, options=RunOptions(out=folder / form, device="cpu"))
        assert not run.failures
    return folder


@pytest.fixture(scope="session")
def mesh(sets):
    return trimesh.load_mesh(sets / "nerfstudio" / NAME / "mesh.glb")


def object_folder(sets, form):
    return sets / form / "objects" / NAME if form in ("eg3d", "3dgp") else sets / form / NAME


def masks_of(sets, form):
    files = sorted((object_folder(sets, form) / "masks").iterdir())
    assert len(files) == VIEWS
    return [np.asarray(Image.open(file)) > 0 for file in files]


def cameras_of(sets, form):
    """The cameras as a reader of the form finds them, in the order of the pictures' numbers."""
    folder = object_folder(sets, form)
    if form == "nerfstudio":
        return load_cameras(folder / "transforms.json")
    if form == "colmap":
        return load_cameras(folder / "sparse/0")
    if form == "eg3d":
        names, cameras = read_eg3d_labels(sets / form / "pictures/dataset.json")
        assert names == [f"{NAME}/{index:03d}.png" for index in range(VIEWS)]
        return cameras
    if form == "3dgp":
        content = json.loads((sets / form / "pictures/dataset.json").read_text())
        angles = torch.tensor([row for _, row in content["camera_angles"]])
        return Pose.build(angles[:, 0], angles[:, 1], fov_deg=20.0, radius=2.7).camera()
    found = {}
    for split in ("train", "val", "test"):
        content = json.loads((folder / f"transforms_{split}.json").read_text())
        names = [frame["file_path"] for frame in content["frames"]]
        for name, camera in zip(names, load_cameras(folder / f"transforms_{split}.json"), strict=True):
            assert (folder / f"{name}.png").is_file()
            assert name.startswith(f"./{split}/")
            found[name.rpartition("/")[2]] = camera
    ordered = [found[name] for name in sorted(found)]
    return Camera(torch.stack([one.cam2world for one in ordered]), torch.stack([one.intrinsics for one in ordered]))


@pytest.mark.parametrize("form", FORMATS)
def test_cameras_read_back_show_the_mesh_where_the_masks_are(sets, mesh, form):
    drawn = render_mesh(mesh, cameras_of(sets, form), SIZE, supersample=1).mask[:, 0].numpy() > 0.5
    for mask, shape in zip(masks_of(sets, form), drawn, strict=True):
        assert (mask & shape).sum() / (mask | shape).sum() > IOU


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_the_same_cameras(sets, form):
    read, wanted = cameras_of(sets, form), cameras_of(sets, "nerfstudio")
    assert_close(read.cam2world, wanted.cam2world, atol=1e-5, rtol=0)
    assert_close(read.intrinsics, wanted.intrinsics, atol=1e-5, rtol=0)


def test_depths_are_the_distances_at_which_rays_meet_the_mesh(sets, mesh, open3d):
    folder = sets / "nerfstudio" / NAME
    scene = open3d.t.geometry.RaycastingScene()
    triangles = open3d.core.Tensor(np.asarray(mesh.faces, np.uint32))
    scene.add_triangles(open3d.core.Tensor(np.asarray(mesh.vertices, np.float32)), triangles)
    for index, (camera, mask) in enumerate(
        zip(cameras_of(sets, "nerfstudio"), masks_of(sets, "nerfstudio"), strict=True)
    ):
        exact = np.load(folder / f"depth/{index:03d}.npy")
        assert exact.dtype == np.float32
        rounded = np.asarray(Image.open(folder / f"depth/{index:03d}.png"))
        assert rounded.dtype == np.uint16
        assert (rounded > 0).tolist() == (exact > 0).tolist() == mask.tolist()
        assert np.abs(rounded[mask] / 1000 - exact[mask].astype(np.float64)).max() <= 0.0005 + 1e-9
        axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
        x, y = np.meshgrid(axis, axis)
        lens = camera.intrinsics.numpy()
        rays = np.stack([(x - lens[0, 2]) / lens[0, 0], (y - lens[1, 2]) / lens[1, 1], np.ones_like(x)], -1)
        world = rays @ camera.cam2world[:3, :3].numpy().T
        start = np.broadcast_to(camera.position.numpy(), world.shape)
        met = scene.cast_rays(open3d.core.Tensor(np.concatenate([start, world], -1).astype(np.float32)))
        hit = met["t_hit"].numpy()  # in units of the ray, which goes one unit along the camera's z
        both = mask & np.isfinite(hit)
        assert np.median(np.abs(hit - exact)[both]) < 0.008  # of a box with sides of 1
        assert np.quantile(np.abs(hit - exact)[both], 0.95) < 0.015
        normals = np.asarray(Image.open(folder / f"normals/{index:03d}.png"))[both] / 127.5 - 1
        agree = (normals * met["primitive_normals"].numpy()[both]).sum(-1)
        assert np.median(agree) > 0.97


def test_points_lie_on_the_mesh_with_its_normals_and_colours(sets, mesh):
    folder = sets / "nerfstudio" / NAME
    cloud = trimesh.load(folder / "points.ply")
    assert len(cloud.vertices) == 20_000
    assert trimesh.proximity.ProximityQuery(mesh).vertex(cloud.vertices)[0].max() < 0.02
    rows = cloud.metadata["_ply_raw"]["vertex"]["data"]
    normals = np.stack([rows[name] for name in ("nx", "ny", "nz")], 1)
    camera, depth = cameras_of(sets, "nerfstudio")[0], np.load(folder / "depth/000.npy")
    seen = (np.asarray(cloud.vertices) - camera.position.numpy()) @ camera.cam2world[:3, :3].numpy()
    column, row = (seen @ camera.intrinsics.numpy().T / seen[:, 2:])[:, :2].T
    at = (row * SIZE).astype(int), (column * SIZE).astype(int)
    shown = (np.abs(depth[at] - seen[:, 2]) < 0.015) & (normals @ camera.forward.numpy() < -0.6)
    assert shown.sum() > 1000
    picture = np.asarray(Image.open(folder / "images/000.png"))[at][:, :3].astype(int)
    off = np.abs(picture - cloud.colors[:, :3]).max(1)[shown]
    assert np.median(off) < 10
    pictured = np.asarray(Image.open(folder / "normals/000.png"))[at] / 127.5 - 1
    assert np.median((pictured * normals).sum(1)[shown]) > 0.97
    assert json.loads((sets / "nerfstudio" / NAME / "transforms.json").read_text())["ply_file_path"] == "points.ply"


def test_pictures_of_a_set_are_those_of_a_scene_on_white(sets):
    for index in range(VIEWS):
        scene = Image.open(sets / "nerfstudio" / NAME / f"images/{index:03d}.png")
        assert scene.mode == "RGBA"
        white = Image.alpha_composite(Image.new("RGBA", scene.size, "white"), scene).convert("RGB")
        for form in ("eg3d", "3dgp"):
            picture = Image.open(sets / form / f"pictures/{NAME}/{index:03d}.png")
            assert picture.mode == "RGB"
            assert np.abs(np.asarray(picture, int) - np.asarray(white, int)).max() <= 1
        masks = np.asarray(Image.open(sets / "nerfstudio" / NAME / f"masks/{index:03d}.png"))
        assert (masks == np.where(np.asarray(scene)[..., 3] >= 128, 255, 0)).all()


def test_a_split_has_pictures_for_everything():
    assert [split_of(index, 3) for index in range(3)] == ["train", "val", "test"]
    assert [split_of(index, 5) for index in range(5)] == ["train"] * 3 + ["val", "test"]
    many = [split_of(index, 50) for index in range(50)]
    assert [many.count(split) for split in ("train", "val", "test")] == [40, 5, 5]
    assert (many[4], many[9], many[14]) == ("val", "test", "val")
