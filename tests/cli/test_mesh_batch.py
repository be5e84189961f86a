"""`gen3d mesh` for several samples, in several formats, with previews and reports."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import Gen3DError, MissingDependencyError, PlaceError
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.media.images import read_image
from gen3d_tools.workflows.mesh import batch as mesh_batch
from gen3d_tools.workflows.mesh import preview as mesh_preview
from gen3d_tools.workflows.mesh import sample as mesh_job

FAST = ("--resolution", 16, "--color-from", "points", "--level", 10)


@pytest.fixture
def small_pictures(monkeypatch):
    """Previews and reports of a few small pictures."""
    for name, value in {"FILM_FRAMES": 2, "FILM_SIZE": 16, "STRIP_SIZE": 16, "RING_VIEWS": 2}.items():
        monkeypatch.setattr(mesh_preview, name, value)
    monkeypatch.setattr(mesh_job, "RING_VIEWS", 2)
    monkeypatch.setattr(mesh_job, "REPORT_SIZE", 24)


@pytest.fixture
def cubes_fail(monkeypatch):
    """Every mesh of a cube fails, those of balls do not."""
    real = mesh_batch.make_sample

    def make(files, *arguments, **options):
        if files.sample.class_name == "cube":
            raise Gen3DError("cubes roll badly")
        return real(files, *arguments, **options)

    monkeypatch.setattr(mesh_batch, "make_sample", make)


def test_a_failure_does_not_stop_the_others(gen3d, tiny_folder, cubes_fail):
    result = gen3d("mesh", tiny_folder, "--class", "cube,ball", "-o", "out", *FAST)
    assert result.code == 7
    assert result.paths == ["out/ball-0000.glb", "out/meshes.png"]
    assert read_mesh("out/ball-0000.glb").is_watertight
    *_, error = result.err.strip().splitlines()
    assert error == "error: 1 failed: cube 0; the rest is written. The first one: cubes roll badly"
    assert json.loads(Path("out/run.json").read_text())["failed"] == {"cube 0": "cubes roll badly"}


@pytest.mark.parametrize("error", [PlaceError("the disk is full"), MissingDependencyError("there is no assimp")])
def test_what_all_others_would_meet_too_ends_the_batch(gen3d, tiny_folder, monkeypatch, error):
    tried = []

    def make(files, *arguments, **options):
        tried.append(files)
        raise error

    monkeypatch.setattr(mesh_batch, "make_sample", make)
    result = gen3d("mesh", tiny_folder, "--class", "cube,ball", "-o", "out", *FAST)
    assert result.code == error.exit_code
    assert result.error == f"error: {error}"
    assert len(tried) == 1


def test_a_batch_ends_with_a_table(gen3d, tiny_folder, cubes_fail):
    lines = gen3d("mesh", tiny_folder, "--class", "cube,ball", "-o", "out", *FAST).err.splitlines()
    [head] = [index for index, line in enumerate(lines) if line.startswith("sample ")]
    assert lines[head].split() == ["sample", "faces", "watertight", "parts", "seconds", "result"]
    assert lines[head + 1].split() == ["cube", "0", "failed:", "cubes", "roll", "badly"]
    assert lines[head + 2].split()[:2] == ["ball", "0"]
    assert "yes" in lines[head + 2]
    assert lines[head + 2].endswith("ball-0000.glb")


def test_a_failed_mesh_leaves_its_place_on_the_sheet_empty(gen3d, tiny_folder, cubes_fail):
    gen3d("mesh", tiny_folder, "--class", "cube,ball", "-o", "out", *FAST)
    sheet = read_image("out/meshes.png").numpy()
    side = mesh_preview.STRIP_SIZE
    made, failed = sheet[:, -side + 12 :, -side:], sheet[:, -2 * side + 12 : -side - 24, -side:]
    assert failed.min() == 1
    assert made.min() < 1


def test_all_of_them_failing_is_said_in_one_line(gen3d, tiny_folder, cubes_fail, leftovers):
    result = gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", "0-1", "-o", "out", "-q", *FAST)
    assert result.code == 7
    assert result.error == "error: all 2 samples failed; cube 0: cubes roll badly"
    assert leftovers() == []


def test_an_unexpected_error_does_not_stop_the_others_either(gen3d, tiny_folder, monkeypatch):
    real, calls = mesh_job.extract_mesh, []

    def stumble(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("a library stumbled")
        return real(*arguments, **options)

    monkeypatch.setattr(mesh_job, "extract_mesh", stumble)
    result = gen3d("mesh", tiny_folder, "--class", "all", "-o", "out", "--json", *FAST)
    assert result.code == 7
    assert result.json["failed"] == {"ball 0": "unexpected ValueError: a library stumbled"}
    assert [Path(path).name for path in result.json["outputs"]] == ["cube-0000.glb", "meshes.png"]


def test_several_formats_stand_side_by_side(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "-o", "x.GLB", "--format", "ply,glb,.STL", *FAST)
    assert result.code == 0, result.err
    assert result.paths == ["x.GLB", "x.ply", "x.stl"]
    assert len({len(read_mesh(path).faces) for path in result.paths}) == 1


def test_a_texture_is_for_formats_that_hold_one(gen3d, tiny_folder):
    options = ("--texture", 64, "--format", "obj,ply", "-o", "out")
    result = gen3d("mesh", tiny_folder, "--class", "ball", *options, *FAST)
    assert result.code == 0, result.err
    assert "no texture fits into ply; the other formats have it" in result.err
    assert sorted(Path(path).suffix for path in result.paths) == [".mtl", ".obj", ".ply", ".png"]
    assert read_mesh("out/ball-0000.obj").visual.uv is not None
    assert read_mesh("out/ball-0000.ply").is_watertight  # not cut open
    assert read_mesh("out/ball-0000.ply").visual.kind == "vertex"


def test_existing_textures_are_kept(gen3d, tiny_folder, leftovers):
    Path("x.mtl").write_text("precious")
    result = gen3d("mesh", tiny_folder, "--class", "ball", "--texture", 64, "-o", "x.obj", *FAST)
    assert result.code == 2
    assert "x.mtl exists already" in result.error
    assert leftovers() == ["x.mtl"]


def test_faces_scale_and_center_reach_the_file(gen3d, tiny_folder):
    gen3d("mesh", tiny_folder, "--class", "ball", "--faces", 200, "--scale", 0.3, "--center", "-o", "x.ply", *FAST)
    found = read_mesh("x.ply")
    assert 100 < len(found.faces) <= 200
    assert found.extents.max() == pytest.approx(0.3)
    assert found.bounds.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)


def test_points_and_densities_stand_beside_the_mesh(gen3d, tiny_folder):
    options = ("--points", 300, "--format", "stl,npz", "--up", "z", "-o", "out")
    result = gen3d("mesh", tiny_folder, "--class", "ball", *options, *FAST)
    assert sorted(result.paths) == ["out/ball-0000-points.ply", "out/ball-0000.npz", "out/ball-0000.stl"]
    cloud = trimesh.load("out/ball-0000-points.ply")
    assert cloud.vertices.shape == (300, 3)
    bounds = read_mesh("out/ball-0000.stl").bounds
    assert (cloud.vertices > bounds[0] - 1e-6).all()
    assert (cloud.vertices < bounds[1] + 1e-6).all()
    assert np.load("out/ball-0000.npz")["density"].shape == (16, 16, 16)


def test_a_density_alone_needs_no_surface(gen3d, tiny_folder, monkeypatch):
    monkeypatch.setattr(mesh_job, "extract_mesh", None)
    assert gen3d("mesh", tiny_folder, "--class", "ball", "-o", "x.npz", "--resolution", 16).paths == ["x.npz"]


def test_a_report_says_how_well_mesh_and_field_agree(gen3d, tiny_folder, small_pictures):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "--report", "-o", "x.glb", *FAST)
    assert result.paths == ["x.glb", "x-report.json"]
    report = json.loads(Path("x-report.json").read_text())
    assert report["sample"] == "ball 0"
    assert report["watertight"] is True
    assert 0.5 < report["agreement"]["silhouette_iou"] <= 1
    assert (report["agreement"]["views"], report["agreement"]["resolution"]) == (2, 24)
    record = json.loads(Path("x.run.json").read_text())
    assert record["details"]["outputs"]["x-report.json"] == report["agreement"]


def test_a_preview_shows_mesh_field_and_shape(gen3d, tiny_folder, small_pictures):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "--preview", "-o", "x.glb", *FAST)
    assert result.paths == ["x.glb", "x-preview.png", "x-preview.mp4"]
    assert read_image("x-preview.png").shape[1] > 3 * 16
    assert Path("x-preview.mp4").stat().st_size > 0


def test_a_dry_run_names_everything_that_would_be_written(gen3d, tiny_folder, leftovers):
    options = ("--preview", "--report", "--texture", 64, "--faces", 500, "--dry-run", "-o", "x.glb")
    result = gen3d("mesh", tiny_folder, "--class", "ball", *options, *FAST)
    assert result.paths == ["x.glb", "x-report.json", "x-preview.png", "x-preview.mp4"]
    assert "16³ lattice points, level 10, at most 500 faces, texture of 64 x 64" in result.err
    assert leftovers() == []
