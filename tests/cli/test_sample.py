"""`gen3d sample` end to end on a tiny generator."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen3d_tools.cameras.formats import load_cameras
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.samples.views import ViewOptions, turn_names

FAST = ("--size", 16)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_one_png_per_sample_in_a_new_folder(gen3d, tiny_folder):
    result = gen3d("sample", tiny_folder, "--class", "ball", "--seeds", "0,2", *FAST)
    assert result.code == 0, result.err
    assert result.paths == [f"gen3d-out/sample-tiny-ball-seeds-0,2/ball-000{seed}.png" for seed in (0, 2)]
    assert pixels(result.paths[0]).shape == (16, 16, 3)
    assert "gen3d video" in result.err
    again = gen3d("sample", tiny_folder, "--class", "ball", "--seeds", "0,2", *FAST)
    assert again.paths[0] == "gen3d-out/sample-tiny-ball-seeds-0,2-2/ball-0000.png"


def test_same_seed_same_picture_alone_and_in_a_batch(gen3d, tiny_folder):
    alone = gen3d("sample", tiny_folder, "--class", "cube", "--seeds", 7, "-o", "alone.png", *FAST)
    together = gen3d("sample", tiny_folder, "--class", "all", "--seeds", "5-7", "-o", "folder", *FAST)
    assert alone.code == together.code == 0
    pictures = [pixels(path) for path in ("alone.png", "folder/cube-0007.png")]
    assert np.array_equal(*pictures)


def test_every_class_with_every_seed(gen3d, tiny_folder):
    result = gen3d("sample", tiny_folder, "--class", "all", "--seeds", "1-2", "-o", "out", *FAST)
    assert [Path(path).name for path in result.paths] == [
        "ball-0001.png",
        "ball-0002.png",
        "cube-0001.png",
        "cube-0002.png",
    ]


def test_grid_and_kinds_give_one_sheet(gen3d, tiny_folder):
    shown = ("--show", "rgb,depth,normal", "--views", 2)
    result = gen3d("sample", tiny_folder, "--seeds", "0-1", "--grid", *shown, "-o", "sheet.png", *FAST)
    assert result.code == 0, result.err
    assert result.paths == ["sheet.png"]
    height, width, _ = pixels("sheet.png").shape
    assert width > 6 * 16
    assert height > 2 * 16


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "columns", "rows"), [((), 4, 3), (("4x3",), 4, 3), (("6x2",), 6, 2)])
def test_a_sheet_of_one_class_is_wrapped_to_about_a_square(gen3d, tiny_folder, grid, columns, rows):
    asked = ("--class", "ball", "--seeds", "0-11", "--show", "rgb", "-o", "sheet.png", "--size", 8)
    made = gen3d("sample", tiny_folder, *asked, "--grid", *grid, "-q")
    assert made.code == 0, made.err
    sheet = pixels("sheet.png")
    blank = (sheet == 255).all(axis=(0, 2)).astype(int), (sheet == 255).all(axis=(1, 2)).astype(int)
    assert sheet.shape[1] % columns == 0
    assert sheet.shape[0] % rows == 0
    assert (np.diff(blank[0]) == -1).sum() >= columns  # so many pictures side by side


def test_a_grid_that_is_too_small_is_refused_and_names_one_that_fits(gen3d, tiny_folder, leftovers):
    refused = gen3d("sample", tiny_folder, "--class", "ball", "--seeds", "0-11", "--grid", "2x2", *FAST)
    assert refused.code == 2
    assert "12 samples do not fit a grid of 2x2; try --grid 4x3" in refused.error
    assert leftovers() == []


@pytest.mark.parametrize("program", ["nerfstudio", "colmap"])
def test_pictures_come_with_the_cameras_that_took_them(gen3d, tiny_folder, tiny_generator, program):
    asked = ("--class", "ball", "--views", 3, "--show", "depth,rgb", "-o", "set", *FAST)
    made = gen3d("sample", tiny_folder, *asked, "--cameras-out", program)
    assert made.code == 0, made.err
    assert made.paths[-1] == {"nerfstudio": "set/transforms.json", "colmap": "set/sparse/0"}[program]
    read = load_cameras(made.paths[-1])
    names = named_pictures(Path(made.paths[-1]))
    assert names == [f"ball-0000-rgb-{turn}.png" for turn in (0, 120, 240)]
    (field,) = tiny_generator.fields(tiny_generator.latents([0], ["ball"]))
    for camera, name in zip(read, names, strict=True):
        again = render(field, camera, resolution=16).rgb
        assert np.abs(pixels(f"set/{name}") / 255 - again.permute(1, 2, 0).numpy()).max() < 0.02
    resumed = gen3d("sample", tiny_folder, *asked, "--cameras-out", program, "--resume")
    assert (resumed.code, resumed.paths) == (0, made.paths)


@pytest.mark.parametrize("command", ["sample", "video"])
def test_cameras_for_other_programs_see_through_the_middles_of_pixels(
    gen3d, tiny_folder, tiny_generator, tmp_path, command
):
    """Rays of EpiGRAF, 3DGP and VolumeGAN end at the picture's edges, those of other programs half a pixel within."""
    model = shutil.copytree(tiny_folder, tmp_path / "edges")
    config = json.loads((model / "config.json").read_text())
    config["rendering"]["pixel_grid"] = "corners"
    (model / "config.json").write_text(json.dumps(config))
    more = {"sample": ("--views", 2), "video": ("--seconds", 0.1)}[command]
    made = gen3d(command, model, "--class", "ball", "-o", "set", *more, *FAST, "--cameras-out", "nerfstudio")
    assert made.code == 0, made.err
    (field,) = tiny_generator.fields(tiny_generator.latents([0], ["ball"]))  # whose rays are those of other programs
    assert field.render_config.pixel_grid == "centers"
    cameras, names = load_cameras(made.paths[-1]), named_pictures(Path(made.paths[-1]))
    for camera, name in zip(cameras, names, strict=True):
        again = render(field, camera, resolution=16).rgb
        assert np.abs(pixels(f"set/{name}") / 255 - again.permute(1, 2, 0).numpy()).max() < 0.02


def test_views_keep_to_the_sides_that_a_model_is_trusted_from(gen3d, tiny_folder, tmp_path):
    narrow = shutil.copytree(tiny_folder, tmp_path / "narrow")
    config = json.loads((narrow / "config.json").read_text())
    config["cameras"]["trusted"] |= {"yaw_min_deg": -30.0, "yaw_max_deg": 50.0}
    (narrow / "config.json").write_text(json.dumps(config))
    asked = ("--class", "ball", "--views", 3, "-o", "set", *FAST, "--cameras-out", "nerfstudio")
    made = gen3d("sample", str(narrow), *asked)
    assert made.code == 0, made.err
    yaws = [float(camera.spherical()[0]) for camera in load_cameras("set/transforms.json")]
    assert yaws == pytest.approx([-30, 10, 50], abs=1e-3)
    names = named_pictures(Path("set/transforms.json"))
    assert names == [f"ball-0000-rgb-{yaw}.png" for yaw in (-30, 10, 50)]
    around = gen3d("sample", str(narrow), *asked, "--yaw", "20", "--overwrite")
    assert around.code == 0, around.err
    yaws = [float(camera.spherical()[0]) % 360 for camera in load_cameras("set/transforms.json")]
    assert yaws == pytest.approx([20, 140, 260], abs=1e-3)


def test_views_are_named_so_that_they_differ(tiny_generator):
    front = tiny_generator.default_view.yaw_deg

    def names(*yaws):
        return turn_names(tiny_generator, [yaw - front for yaw in yaws])

    assert turn_names(tiny_generator, [0, 120, 240]) == ["0", "120", "240"]
    assert names(-0.5, 0.0, 0.5) == ["-0.5", "0.0", "0.5"]
    narrow = names(*(-45 + 90 * index / 39 for index in range(40)))
    assert narrow[-1] == "45"
    assert len(set(narrow)) == 40


def test_a_model_that_is_trusted_from_one_side_is_shown_all_the_way_round(tiny_generator, monkeypatch):
    one = replace(tiny_generator.settings.trusted_views, yaw_min_deg=-25.0, yaw_max_deg=-25.0)
    monkeypatch.setattr(tiny_generator, "settings", replace(tiny_generator.settings, trusted_views=one))
    assert ViewOptions().turns(tiny_generator, 3) == [0, 120, 240]


def test_a_set_of_other_cameras_is_not_gone_on_with(gen3d, tiny_folder, tmp_path):
    narrow = shutil.copytree(tiny_folder, tmp_path / "narrow")
    asked = ("--class", "ball", "--views", 3, "-o", "set", *FAST, "--cameras-out", "nerfstudio")
    assert gen3d("sample", str(narrow), *asked).code == 0
    config = json.loads((narrow / "config.json").read_text())
    config["cameras"]["trusted"] |= {"yaw_min_deg": -30.0, "yaw_max_deg": 50.0}
    (narrow / "config.json").write_text(json.dumps(config))
    refused = gen3d("sample", str(narrow), *asked, "--resume")
    assert refused.code == 2
    assert "transforms.json" in refused.error


def named_pictures(cameras):
    """The pictures that a file of cameras names; 16 x 16 pixels each."""
    if cameras.suffix == ".json":
        data = json.loads(cameras.read_text())
        assert (data["w"], data["h"]) == (16, 16)
        return [frame["file_path"] for frame in data["frames"]]
    assert (cameras / "cameras.txt").read_text().splitlines()[1].startswith("1 PINHOLE 16 16 ")
    lines = (cameras / "images.txt").read_text().splitlines()
    return [line.split()[9] for line in lines if line.endswith(".png")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cameras-out", "blender", "-o", "set"), "cameras are written for nerfstudio or colmap, not 'blender'"),
        (("--cameras-out", "colmap", "-o", "a.png"), "several files, and a.png is one; name a folder, such as a/"),
        (("--cameras-out", "colmap", "--show", "depth"), "add rgb: --show rgb,depth"),
        (("--cameras-out", "colmap", "--seeds", "0-1"), "shows one object, 2 are named"),
        (("--cameras-out", "colmap", "--grid"), "a sheet is no set of pictures"),
    ],
)
def test_what_is_no_set_of_pictures_gets_no_cameras(gen3d, tiny_folder, leftovers, arguments, message):
    refused = gen3d("sample", tiny_folder, *arguments, *FAST)
    assert refused.code == 2
    assert message in refused.error
    assert leftovers() == []


def test_kinds_become_files_of_their_own(gen3d, tiny_folder):
    result = gen3d("sample", tiny_folder, "--class", "ball", "--show", "rgb,normal", "-o", "out", *FAST)
    assert [Path(path).name for path in result.paths] == ["ball-0000-rgb.png", "ball-0000-normal.png"]


def test_json_is_one_object_with_the_record(gen3d, tiny_folder):
    result = gen3d("sample", tiny_folder, "--class", "ball", "-o", "x.png", "--json", *FAST)
    record = result.json
    assert result.err == ""
    assert record["outputs"] == ["x.png"]
    assert record["options"]["seeds"] == "0"
    assert len(record["model_sha256"]) == 64
    assert json.loads(Path("x.run.json").read_text())["outputs"] == ["x.png"]


def test_record_lies_in_the_folder(gen3d, tiny_folder):
    gen3d("sample", tiny_folder, "--class", "ball", "-o", "out", *FAST)
    assert json.loads(Path("out/run.json").read_text())["command"] == "sample"


def test_quiet_prints_paths_only(gen3d, tiny_folder):
    result = gen3d("sample", tiny_folder, "--class", "ball", "-o", "x.png", "-q", *FAST)
    assert (result.out, result.err) == ("x.png\n", "")


def test_existing_outputs_are_kept_unless_overwritten(gen3d, tiny_folder):
    Path("x.png").write_text("precious")
    refused = gen3d("sample", tiny_folder, "--class", "ball", "-o", "x.png", *FAST)
    assert refused.code == 2
    assert "--overwrite" in refused.error
    assert Path("x.png").read_text() == "precious"
    assert gen3d("sample", tiny_folder, "--class", "ball", "-o", "x.png", "--overwrite", *FAST).code == 0
    assert pixels("x.png").shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--class", "bal"], 2, "did you mean ball?"),
        (["--seeds", "a"], 2, "seeds"),
        (["--seeds", "5-2"], 2, "write 2-5"),
        (["--size", "0"], 2, "size is 0"),
        (["--size", "4096"], 2, "1..2048"),
        (["--psi", "9"], 2, "psi is 9"),
        (["--psi", "nan"], 2, "psi is nan"),
        (["--fov", "0"], 2, "0"),
        (["--fov", "180"], 2, "180"),
        (["--pitch", "91"], 2, "pitch is 91"),
        (["--show", "rgb,smell"], 2, "cannot show smell"),
        (["--views", "0"], 2, "views is 0"),
        (["-o", "x.tiff"], 2, "unknown image suffix '.tiff'"),
        (["--device", "teapot"], 2, "not available here"),
        (["--device", "meta"], 2, "not available here"),
        (["--device", "Cpu:x"], 2, "not available here"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(gen3d, tiny_folder, leftovers, arguments, code, message):
    result = gen3d("sample", tiny_folder, *arguments, *(() if "--size" in arguments else FAST))
    assert result.code == code
    assert message in result.error
    assert leftovers() == []


def test_an_unknown_model_is_exit_code_3(gen3d):
    result = gen3d("sample", "nothing-like-it")
    assert result.code == 3
    assert "no model 'nothing-like-it'" in result.error


def test_a_broken_checkpoint_is_exit_code_4(gen3d, tiny_folder, tmp_path):
    import shutil

    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    tensors = broken / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:1000])
    result = gen3d("sample", broken, *FAST)
    assert result.code == 4
    assert "corrupt or cut short" in result.error


def test_ctrl_c_keeps_what_is_finished(gen3d, tiny_folder, monkeypatch):
    from gen3d_tools.workflows import sample as workflow

    real, calls = workflow.picture, []

    def stop_at_the_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(workflow, "picture", stop_at_the_second)
    result = gen3d("sample", tiny_folder, "--class", "all", "-o", "out", *FAST)
    assert result.code == 130
    assert "repeat the command with --resume" in result.err.splitlines()[-1]
    assert result.paths == ["out/ball-0000.png"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["ball-0000.png", "run.json"]
    record = json.loads(Path("out/run.json").read_text())
    assert (record["whole"], list(record["files"])) == (False, ["ball-0000.png"])


def test_a_full_disk_leaves_no_half_written_file(gen3d, tiny_folder, monkeypatch, leftovers):
    import errno

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    result = gen3d("sample", tiny_folder, "--class", "ball", "-o", "x.png", *FAST)
    assert result.code == 1
    assert "disk is full" in result.error
    assert leftovers() == []


def test_a_folder_that_cannot_be_written_is_said_before_the_work(gen3d, tiny_folder):
    Path("file").write_text("in the way")
    result = gen3d("sample", tiny_folder, "-o", "file/x.png", *FAST)
    assert result.code == 1
    assert "not a writable folder" in result.error


@pytest.mark.slow
def test_the_grid_has_a_row_per_class_and_a_column_per_seed(gen3d, tiny_folder):
    gen3d("sample", tiny_folder, "--class", "all", "--seeds", "0-4", "--grid", "-o", "wide.png", *FAST)
    gen3d("sample", tiny_folder, "--class", "all", "--seeds", "0", "--grid", "-o", "narrow.png", *FAST)
    assert pixels("wide.png").shape[0] == pixels("narrow.png").shape[0]
    assert pixels("wide.png").shape[1] > pixels("narrow.png").shape[1] + 4 * 16


def test_a_dry_run_names_the_files_and_writes_none(gen3d, tiny_folder, leftovers):
    options = (
        "sample",
        tiny_folder,
        "--class",
        "ball",
        "--seeds",
        "0,2",
        "--size",
        8,
        "--show",
        "rgb,depth",
        "-o",
        "out",
    )
    planned = gen3d(*options, "--dry-run")
    assert (planned.code, leftovers()) == (0, [])
    assert planned.paths == gen3d(*options).paths
    assert gen3d(*options, "--grid", "--dry-run").paths == ["out/grid.png"]
