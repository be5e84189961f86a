"""`gen3d mesh` end to end on a tiny generator."""

import json
from pathlib import Path

import numpy as np
import pytest

from gen3d_tools.errors import MissingDependencyError
from gen3d_tools.geometry.extraction import fusion
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.geometry.mesh import extract_mesh

COARSE = ("--resolution", 16, "--color-from", "points")
FAST = (*COARSE, "--level", 10)


@pytest.fixture(scope="module")
def cube(tiny_generator):
    """What the library says `cube 1` looks like."""
    [field] = tiny_generator.fields(tiny_generator.latents([1], ["cube"]))
    return extract_mesh(field, resolution=16, iso_level=10)


def colors(mesh):
    return np.asarray(mesh.visual.vertex_colors)[:, :3]


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".ply", ".obj", ".stl", ".off"])
def test_suffix_chooses_the_format_and_the_surface_comes_back(gen3d, tiny_folder, cube, suffix):
    result = gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 1, "-o", f"x{suffix}", *FAST)
    assert result.code == 0, result.err
    assert result.paths == [f"x{suffix}"]
    found = read_mesh(f"x{suffix}")
    assert found.bounds == pytest.approx(cube.bounds, abs=1e-5)  # world units
    assert len(found.faces) == len(cube.faces)
    found.merge_vertices()
    assert found.is_watertight
    assert found.volume == pytest.approx(cube.volume, rel=1e-4)  # positive: outward


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj"])
def test_colours_are_those_of_the_field(gen3d, tiny_folder, cube, suffix):
    gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 1, "-o", f"x{suffix}", *FAST)
    assert np.array_equal(colors(read_mesh(f"x{suffix}")), colors(cube))
    assert len(np.unique(colors(cube), axis=0)) > 50  # else the test sees nothing


def test_colours_can_be_left_out(gen3d, tiny_folder):
    gen3d("mesh", tiny_folder, "--class", "cube", "--no-color", "-o", "x.ply", "--resolution", 16, "--level", 10)
    assert read_mesh("x.ply").visual.kind is None


def test_z_up_turns_the_front_to_minus_y(gen3d, tiny_folder, cube):
    gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 1, "--up", "z", "-o", "x.ply", *FAST)
    x, y, z = cube.vertices.T
    assert read_mesh("x.ply").vertices == pytest.approx(np.stack([x, -z, y], axis=1), abs=1e-5)


def test_a_length_makes_millimetres_for_printers_and_the_size_is_said(gen3d, tiny_folder, cube):
    made = gen3d(
        "mesh", tiny_folder, "--class", "cube", "--seeds", 1, "--scale", "80mm", "--ground", "--format", "stl,glb",
        "-o", "a/", *FAST,
    )  # fmt: skip
    assert made.code == 0, made.err
    printed = read_mesh("a/cube-0001.stl")
    assert printed.extents.max() == pytest.approx(80, rel=1e-5)
    assert printed.bounds[0, 1] == pytest.approx(0, abs=1e-4)
    assert read_mesh("a/cube-0001.glb").extents.max() == pytest.approx(0.08, rel=1e-5)
    size = " x ".join(f"{side:.1f}" for side in printed.extents)
    assert f"{size} mm, volume {cube.volume * (80 / cube.extents.max()) ** 3:,.0f} mm³" in made.err
    assert "0.0800" in made.err
    record = json.loads(Path("a/run.json").read_text())["details"]["outputs"]["cube-0001.stl"]
    assert record["written"]["unit"] == "mm"
    assert record["written"]["size"] == pytest.approx(printed.extents, rel=1e-5)
    assert record["volume"] == pytest.approx(cube.volume, rel=1e-5)  # world units, as ever


def test_an_stl_in_world_units_is_warned_of(gen3d, tiny_folder):
    made = gen3d("mesh", tiny_folder, "--class", "cube", "-o", "x.stl", *FAST)
    assert made.code == 0
    assert "slicers read the numbers of an .stl as mm; try --scale 80mm" in " ".join(made.err.split())


def test_the_object_in_the_file_is_called_after_the_sample(gen3d, tiny_folder):
    gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 1, "-o", "x.obj", *FAST)
    assert "o cube-1\n" in Path("x.obj").read_text()


def test_level_and_keep_reach_the_mesher(gen3d, tiny_folder, tiny_generator):
    [field] = tiny_generator.fields(tiny_generator.latents([2], ["cube"]))
    gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 2, "--level", 15, "--keep", 1, "-o", "x.ply", *COARSE)
    expected = extract_mesh(field, resolution=16, iso_level=15, keep=1)
    assert len(expected.faces) != len(extract_mesh(field, resolution=16, iso_level=10).faces)
    assert len(read_mesh("x.ply").faces) == len(expected.faces)


def test_truncation_reaches_the_generator(gen3d, tiny_folder):
    for seed in (0, 1):
        gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", seed, "--psi", 0, "-o", f"{seed}.ply", *FAST)
    assert Path("0.ply").read_bytes() == Path("1.ply").read_bytes()


def test_folder_holds_one_mesh_per_sample(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "all", "--seeds", "1-2", "-o", "out/", "--format", "ply", *FAST)
    assert result.code == 0, result.err
    names = ["ball-0001.ply", "ball-0002.ply", "cube-0001.ply", "cube-0002.ply"]
    assert [Path(path).name for path in result.paths] == [*names, "meshes.png"]
    assert sorted(path.name for path in Path("out").iterdir()) == [*names, "meshes.png", "run.json"]


def test_default_is_glb_in_a_new_folder(gen3d, tiny_folder):
    paths = [gen3d("mesh", tiny_folder, "--class", "ball", *FAST).paths for _ in range(2)]
    assert paths[0] == ["gen3d-out/mesh-tiny-ball-seeds-0/ball-0000.glb"]
    assert paths[1] == ["gen3d-out/mesh-tiny-ball-seeds-0-2/ball-0000.glb"]


def test_folder_with_a_dot_in_its_name_is_a_folder_once_it_exists(gen3d, tiny_folder):
    Path("v1.2").mkdir()
    assert gen3d("mesh", tiny_folder, "--class", "ball", "-o", "v1.2", *FAST).paths == ["v1.2/ball-0000.glb"]


def test_a_seed_named_twice_is_meshed_once(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "--seeds", "1,1", "-o", "out", *FAST)
    assert result.paths == ["out/ball-0001.glb"]


def test_health_is_a_line_for_people_and_numbers_in_the_record(gen3d, tiny_folder, cube):
    result = gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 1, "-o", "x.glb", *FAST)
    assert f"cube 1: {len(cube.vertices):,} vertices, {len(cube.faces):,} faces, watertight, 1 part" in result.err
    assert f"volume {cube.volume:.4g}" in result.err
    record = json.loads(Path("x.run.json").read_text())
    health = record["details"]["outputs"]["x.glb"]
    assert health["vertices"] == len(cube.vertices)
    assert health["watertight"] is True
    assert health["parts"] == 1
    assert health["volume"] == pytest.approx(cube.volume)
    assert record["options"]["level"] == "10"
    assert health["level"] == 10.0
    assert health["making"]["level"]["reason"] == "as asked for"


def test_json_is_one_object_and_nothing_else(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "-o", "x.glb", "--json", *FAST)
    assert result.err == ""
    assert result.json["outputs"] == ["x.glb"]
    assert result.json["details"]["outputs"]["x.glb"]["faces"] > 0


def test_quiet_prints_paths_only(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "ball", "-o", "x.glb", "-q", *FAST)
    assert (result.out, result.err) == ("x.glb\n", "")


def test_verbose_says_what_was_cleaned(gen3d, tiny_folder):
    result = gen3d("mesh", tiny_folder, "--class", "cube", "--seeds", 2, "-o", "x.glb", "-v", *FAST)
    assert "parts removed" in " ".join(result.err.split())


def test_dry_run_names_the_files_and_writes_none(gen3d, tiny_folder, leftovers):
    result = gen3d("mesh", tiny_folder, "--class", "all", "--dry-run", *COARSE)
    assert result.code == 0
    assert [Path(path).name for path in result.paths] == ["ball-0000.glb", "cube-0000.glb"]
    assert "would write" in result.err
    assert "16³ lattice points, level auto" in result.err
    assert gen3d("mesh", tiny_folder, "--class", "ball", "--dry-run", "--json", *FAST).json["dry_run"] is True
    assert leftovers() == []


def test_dry_run_finds_bad_input_too(gen3d, tiny_folder):
    assert gen3d("mesh", tiny_folder, "--dry-run", "--level", 0).code == 2


def test_progress_counts_lattice_points_over_all_samples(tiny_folder, tmp_path):
    from contextlib import contextmanager

    from gen3d_tools.workflows.mesh.run import MeshOptions, mesh
    from gen3d_tools.workflows.running.reporting import Reporter
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection

    seen = []

    class Recorder(Reporter):
        @contextmanager
        def progress(self, what, total):
            seen.append(total)
            yield seen.append

    surface = MeshOptions(resolution=16, level=10, color_from="points")
    choice, options = SampleSelection(seeds="1", classes="all"), RunOptions(out=tmp_path / "out")
    mesh(str(tiny_folder), choice, surface=surface, options=options, reporter=Recorder())
    total, *steps = seen
    assert total == steps[-1] == 2 * 16**3
    assert steps == sorted(steps)


def test_existing_outputs_are_kept_unless_overwritten(gen3d, tiny_folder):
    Path("x.glb").write_text("precious")
    assert gen3d("mesh", tiny_folder, "--class", "ball", "-o", "out", *FAST).code == 0
    for out, place in (("x.glb", "x.glb"), ("out", "out/ball-0000.glb")):
        before = Path(place).read_bytes()
        refused = gen3d("mesh", tiny_folder, "--class", "ball", "-o", out, *FAST)
        assert refused.code == 2
        assert "--overwrite" in refused.error
        assert Path(place).read_bytes() == before
        assert gen3d("mesh", tiny_folder, "--class", "ball", "-o", out, "--overwrite", *FAST).code == 0
        assert read_mesh(place).is_watertight


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--class", "bal"], 2, "did you mean ball?"),
        (["--class", "2"], 2, "there is no class 2"),
        (["--seeds", "a"], 2, "seeds"),
        (["--seeds", "5-2"], 2, "write 2-5"),
        (["--seeds", "0-1", "--class", "ball", "-o", "x.glb"], 2, "one file, but there are 2 samples; give a folder"),
        (["--psi", "9"], 2, "psi is 9"),
        (["--psi", "nan"], 2, "psi is nan"),
        (["--level", "0"], 2, "iso level is 0"),
        (["--level", "-3"], 2, "iso level is -3"),
        (["--level", "nan"], 2, "iso level is nan"),
        (["--level", "inf"], 2, "iso level is inf"),
        (["--level", "500", "--class", "ball"], 1, "ball 0: no surface at level 500: densities span"),
        (["--resolution", "7"], 2, "resolution is 7"),
        (["--resolution", "1025"], 2, "8 to 1024"),
        (["--keep", "1.5"], 2, "keep is 1.5"),
        (["--keep", "nan"], 2, "keep is nan"),
        (["--up", "x"], 2, "up is 'x', it must be y or z"),
        (["-o", "x.fbx"], 2, "meshes are written as one of .glb"),
        (["--format", "fbx"], 2, "format is 'fbx', it must be one or several of glb"),
        (["-o", "x.ply", "--format", "obj"], 2, "format is obj, but the output is x.ply"),
        (["--device", "teapot"], 2, "not available here"),
        (["--level", "high"], 2, "level is 'high'; it must be a density such as 10, or auto"),
        (["--faces", "3"], 2, "faces is 3, a closed mesh needs at least 4"),
        (["--smooth", "-1"], 2, "smooth is -1"),
        (["--texture", "1000"], 2, "texture size is 1000, it must be a power of two"),
        (["--texture", "1048576"], 2, "try 8192"),
        (["--texture", "64", "--no-color"], 2, "a texture holds colours; leave out --texture, or --no-color"),
        (["--color-from", "points", "--no-color"], 2, "none at all; leave out --color-from, or --no-color"),
        (["--texture", "64", "-o", "x.stl"], 2, "no texture fits into stl; leave --texture out, or write one of glb,"),
        (["--texture", "64", "--format", "npz,ply"], 2, "no texture fits into npz or ply"),
        (["--color-from", "dreams"], 2, "the source of the colours is 'dreams'"),
        (["--surface", "dreams"], 2, "the surface is 'dreams', it must be one of field, fusion"),
        (["--scale", "0"], 2, "scale is 0"),
        (["--scale", "80 furlongs"], 2, "scale is '80 furlongs'; it must be a length in mm, cm, m, in, ft"),
        (["--unit", "mm"], 2, "unit is mm, but a model's own units have no length; give --scale 80mm"),
        (["--scale", "1m", "--unit", "ell"], 2, "unit is 'ell'; it must be one of mm, cm, m, in, ft"),
        (["--points", "0"], 2, "points is 0"),
        (["--format", ","], 2, "no format in ','"),
        (["--format", "glb,fbx"], 2, "usdz, npz, mrc; try glb,obj"),
        (["--format", "npz", "--smooth", "2"], 2, "--level, --smooth, --color-from: that is for meshes, and there is"),
        (["-o", "x.mrc", "--up", "z"], 2, "--up: that is for meshes, and there is none in mrc; leave it out, or write"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(gen3d, tiny_folder, leftovers, arguments, code, message):
    result = gen3d("mesh", tiny_folder, *FAST, *arguments)
    assert result.code == code
    assert message in result.error
    assert leftovers() == []


def test_the_level_suggested_gives_a_surface(gen3d, tiny_folder):
    import re

    refused = gen3d("mesh", tiny_folder, "--class", "ball", "--level", 500, "-o", "x.glb", *COARSE)
    lowest, highest, suggested = map(float, re.findall(r"span (\S+) to (\S+); try --level (\S+)", refused.error)[0])
    assert lowest < suggested < highest
    accepted = gen3d("mesh", tiny_folder, "--class", "ball", "--level", suggested, "-o", "x.glb", *COARSE)
    assert accepted.code == 0, accepted.err


@pytest.mark.parametrize(
    "arguments",
    [["-o", "x.fbx"], ["--level", "0"], ["--resolution", "4"], ["--keep", "2"], ["--faces", "1"], ["--texture", "7"]],
)
def test_slips_are_found_before_the_model_is_read(gen3d, arguments):
    assert gen3d("mesh", "nothing-like-it", *arguments).code == 2


def test_an_unknown_model_is_exit_code_3(gen3d):
    result = gen3d("mesh", "nothing-like-it")
    assert result.code == 3
    assert "no model 'nothing-like-it'" in result.error


def test_ctrl_c_keeps_what_is_finished(gen3d, tiny_folder, monkeypatch):
    from gen3d_tools.workflows.mesh import sample as workflow

    real, calls = workflow.extract_mesh, []

    def stop_at_the_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(workflow, "extract_mesh", stop_at_the_second)
    result = gen3d("mesh", tiny_folder, "--class", "all", "-o", "out", *FAST)
    assert result.code == 130
    assert result.err.splitlines()[-1].startswith("error: interrupted")
    assert sorted(path.name for path in Path("out").iterdir()) == [".unfinished", "ball-0000.glb", "run.json"]


def test_a_full_disk_leaves_no_half_written_file(gen3d, tiny_folder, monkeypatch, leftovers):
    import errno

    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = gen3d("mesh", tiny_folder, "--class", "ball", "-o", "x.glb", *FAST)
    assert result.code == 1
    assert "disk is full" in result.error
    assert leftovers() == []


@pytest.mark.parametrize("out", ["file/x.glb", "file/folder"])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(gen3d, tiny_folder, monkeypatch, out):
    from gen3d_tools.workflows.mesh import sample as workflow

    monkeypatch.setattr(workflow, "extract_mesh", None)
    Path("file").write_text("in the way")
    result = gen3d("mesh", tiny_folder, "--class", "ball", "-o", out, *FAST)
    assert result.code == 1
    assert "not a writable folder" in result.error


@pytest.mark.slow
def test_a_surface_fused_from_views_is_closed_and_says_so(gen3d, tiny_folder, open3d):
    options = ("--class", "ball", "--seeds", 1, "--surface", "fusion", "--resolution", 16, "-o", "x.ply")
    result = gen3d("mesh", tiny_folder, *options)
    assert result.code == 0, result.err
    assert read_mesh("x.ply").is_watertight
    assert json.loads(Path("x.run.json").read_text())["options"]["surface"] == "fusion"


def test_a_fused_surface_has_no_level(gen3d, tiny_folder, leftovers, open3d):
    result = gen3d("mesh", tiny_folder, "--surface", "fusion", "--level", 10)
    assert (result.code, leftovers()) == (2, [])
    assert "leave out --level, or --surface fusion" in result.error


def test_fusion_without_open3d_is_a_missing_dependency_and_the_field_needs_none(
    gen3d, tiny_folder, leftovers, monkeypatch
):
    monkeypatch.setattr(fusion, "import_open3d", without_open3d)
    result = gen3d("mesh", tiny_folder, *FAST, "--surface", "fusion")
    assert (result.code, leftovers()) == (5, [])
    assert "apt install libgl1" in result.error
    assert gen3d("mesh", tiny_folder, "--class", "ball", *FAST).code == 0


def without_open3d():
    raise MissingDependencyError("open3d cannot be imported: libGL.so.1; apt install libgl1")
