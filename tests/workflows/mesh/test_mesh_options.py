"""Which files a mesh makes, and what cannot be asked for."""

from pathlib import Path

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.workflows.mesh.options import (
    MeshOptions,
    OutputOptions,
    check_for_grids,
    formats_of,
    parse_formats,
    parse_level,
    plan_files,
)
from gen3d_tools.workflows.samples.selection import Sample

MUG, CAR = Sample(3, 0, "mug"), Sample(1, 1, "car")


@pytest.mark.parametrize(("text", "level"), [("auto", None), (" AUTO", None), ("10", 10.0), ("2.5e1", 25.0)])
def test_a_level_is_a_number_or_auto(text, level):
    assert parse_level(text) == level


@pytest.mark.parametrize(("text", "formats"), [(None, None), ("glb", ("glb",)), (" .GLB, obj,glb", ("glb", "obj"))])
def test_formats_are_read_as_people_type_them(text, formats):
    assert parse_formats(text) == formats


def test_the_output_files_own_format_comes_first():
    assert formats_of(Path("x.obj"), OutputOptions()) == ("obj",)
    assert formats_of(Path("x.OBJ"), OutputOptions(formats=("glb", "obj"))) == ("obj", "glb")
    assert formats_of(None, OutputOptions()) == ("glb",)
    with pytest.raises(InputError, match=r"format is glb, but the output is x\.obj"):
        formats_of(Path("x.obj"), OutputOptions(formats=("glb",)))


def test_files_are_named_after_their_sample_in_a_folder():
    delivery = OutputOptions(points=10, preview=True, report=True)
    mug, car = plan_files([MUG, CAR], Path("out"), ("glb", "npz"), delivery, one_file=False)
    assert [path.name for path in mug.all] == [
        "mug-0003.glb",
        "mug-0003.npz",
        "mug-0003-points.ply",
        "mug-0003-report.json",
        "mug-0003-preview.png",
        "mug-0003-preview.mp4",
    ]
    assert {path.parent for path in car.all} == {Path("out")}


def test_files_stand_beside_the_one_that_was_named():
    [mug] = plan_files([MUG], Path("a/My.Mug.GLB"), ("glb", "ply"), OutputOptions(report=True), one_file=True)
    assert [str(path) for path in mug.all] == ["a/My.Mug.GLB", "a/My.Mug.ply", "a/My.Mug-report.json"]


def test_one_file_is_for_one_sample():
    with pytest.raises(InputError, match=r"2 samples; give a folder \(-o x --format glb,ply\)"):
        plan_files([MUG, CAR], Path("x.glb"), ("glb", "ply"), OutputOptions(), one_file=True)


def test_a_density_needs_no_mesh():
    [grid] = plan_files([MUG], Path("x.npz"), ("npz",), OutputOptions(), one_file=True)
    [both] = plan_files([MUG], Path("x.npz"), ("npz",), OutputOptions(report=True), one_file=True)
    assert (grid.needs_mesh, both.needs_mesh) == (False, True)


def test_options_of_meshes_say_nothing_of_densities():
    check_for_grids(("npz", "mrc"), MeshOptions(resolution=64), OutputOptions(formats=("npz", "mrc")))
    changed = MeshOptions(keep=0.5, watertight=True), OutputOptions(center=True)
    for further in ({"points": 9}, {"preview": True}, {"report": True}):
        check_for_grids(("npz",), changed[0], OutputOptions(**further))
    check_for_grids(("npz", "glb"), *changed)
    with pytest.raises(
        InputError,
        match=r"^keep, watertight, center: that is for meshes, and there is none in npz or mrc; .* formats='glb,npz'$",
    ):
        check_for_grids(("npz", "mrc"), *changed)


def test_a_surface_says_what_it_is():
    said = str(MeshOptions(faces=20_000, smooth=3, watertight=True, texture=512))
    assert said == (
        "256³ lattice points, level auto, at most 20,000 faces, 3 rounds of smoothing, made watertight, "
        "texture of 512 x 512"
    )


@pytest.mark.parametrize(
    ("faces", "texture", "most"),
    [(None, None, None), (None, 64, 10_000), (None, 1024, 52_428), (300_000, 1024, 300_000), (500, None, 500)],
)
def test_under_a_texture_a_surface_has_no_more_faces_than_it_can_use(faces, texture, most):
    options = MeshOptions(faces=faces, texture=texture)
    assert options.most_faces == most
    assert str(options).count("at most") == (most is not None)
