"""`gen3d demo` end to end on a tiny generator, in small."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image

from gen3d_tools.cli.app import app
from gen3d_tools.errors import Gen3DError
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.workflows import demo as workflow
from gen3d_tools.workflows.demo import NEXT_COMMANDS, DemoPlan

FILES = ["ball.glb", "blend.png", "from-photo", "grid.png", "index.html", "orbit.mp4", "run.json"]
MADE = ("grid.png", "orbit.mp4", "blend.png", "ball.glb", "from-photo", "index.html")


@pytest.fixture(scope="module")
def plan(tiny_folder):
    return DemoPlan(
        model=str(tiny_folder),
        grid_seeds="0,2",
        grid_size=16,
        orbit=("cube", 0),
        orbit_frames=3,
        orbit_size=16,
        blend_from=("ball", 1),
        blend_to=("cube", 4),
        blend_steps=3,
        mesh=("ball", 0),
        mesh_resolution=24,
        inversion=InversionSettings().changed(
            steps1=1, steps2=1, search_starts=1, search_keep=1, search_steps=1, search_keep_steps=1, resolution=16
        ),
    )


@pytest.fixture(autouse=True)
def small(monkeypatch, plan):
    monkeypatch.setattr(workflow, "PLAN", plan)


@pytest.fixture(scope="module")
def made(plan, tmp_path_factory):
    """A finished demo, to look at only."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    workflow.demo(folder, plan=plan)
    return folder


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.slow
def test_everything_is_there_and_nothing_else_and_the_same_every_time(gen3d, made):
    result = gen3d("demo", "-o", "out")
    assert result.code == 0, result.err
    assert result.paths == [f"out/{name}" for name in MADE]
    assert names("out") == FILES
    assert names(".") == ["out"]
    for name in FILES:
        assert re.search(rf"^{name} .*\(\d+\.\d s\)$", result.err, re.MULTILINE) or name == "run.json"
    assert "out/index.html" in result.err
    assert result.err.endswith("".join(f"  {entry.command}\n" for entry in NEXT_COMMANDS))
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file() and path.name != "run.json"]
    assert len(files) > len(FILES)
    for name in files:
        assert (made / name).read_bytes() == Path("out", name).read_bytes(), name


def test_the_page_needs_no_other_file_and_no_network(made):
    page = (made / "index.html").read_text()
    assert not re.search(r"https?://", page)
    assert {source[:5] for source in re.findall(r'(?:src|href)="([^"]*)"', page)} == {"data:"}
    assert "data:video/mp4;base64," in page
    assert page.count("data:image/png;base64,") == 3
    for entry in NEXT_COMMANDS:
        assert entry.command in page


@pytest.mark.slow
def test_the_pictures_are_those_of_gen3d_sample(gen3d, tiny_folder, made):
    for name, seed in (("ball", 0), ("cube", 2), ("ball", 1), ("cube", 4)):
        gen3d("sample", tiny_folder, "--class", name, "--seeds", seed, "--size", 16, "-o", f"{name}{seed}.png")
    first, last = position(made / "grid.png", "ball0.png"), position(made / "grid.png", "cube2.png")
    assert first[0] < last[0]  # classes run to the right
    assert first[1] < last[1]  # seeds run down
    assert position(made / "blend.png", "ball1.png")[0] < position(made / "blend.png", "cube4.png")[0]


def position(sheet, picture):
    """Where a picture stands in a sheet: x, y of its first pixel."""
    whole, part = (np.asarray(Image.open(path).convert("RGB")) for path in (sheet, picture))
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape)[:, :, 0]
    found = np.argwhere((windows == part).all(axis=(2, 3, 4)))
    assert len(found) == 1, f"{picture} is {len(found)} times in {sheet}"
    return found[0][::-1]


@pytest.mark.slow
def test_without_a_name_it_goes_to_gen3d_out_and_the_record_has_the_time_of_each_step(gen3d):
    Path("gen3d-out/demo").mkdir(parents=True)
    result = gen3d("demo", "--json")
    assert "gen3d-out/demo-2/index.html" in result.json["outputs"]
    assert names("gen3d-out/demo") == []
    said = " ".join(result.err.split())  # the tiny model has no encoder; beside that nothing is said
    assert said.startswith("WARNING no perceptual distance here")
    assert said.endswith("comparing pixels alone")
    assert set(result.json["details"]["steps"]) == set(FILES) - {"run.json"}
    assert json.loads(Path("gen3d-out/demo-2/run.json").read_text())["outputs"] == result.json["outputs"]


def test_next_commands_exist_with_their_options():
    commands = typer.main.get_command(app).commands
    assert len(NEXT_COMMANDS) >= 3
    for entry in NEXT_COMMANDS:
        program, name, *arguments = entry.command.split()
        assert program == "gen3d"
        commands[name].make_context(name, arguments)  # refuses what it does not know


@pytest.mark.slow
def test_an_earlier_demo_stays_unless_overwritten(gen3d, made):
    shutil.copytree(made, "out")
    Path("out/diary.txt").write_text("precious")
    refused = gen3d("demo", "-o", "out")
    assert refused.code == 2
    assert "--overwrite" in refused.error
    assert gen3d("demo", "-o", "out", "--overwrite").code == 0
    assert names("out") == sorted([*FILES, "diary.txt"])
    assert Path("out/diary.txt").read_text() == "precious"


def test_a_persons_own_page_is_not_replaced_by_that_of_the_demo(gen3d, monkeypatch):
    monkeypatch.setattr(workflow, "load_generator", lambda *arguments, **options: pytest.fail("work has begun"))
    Path("site").mkdir()
    Path("site/index.html").write_text("precious")
    for overwrite in ([], ["--overwrite"]):
        refused = gen3d("demo", "-o", "site", *overwrite)
        assert refused.code == 2
        assert "index.html" in refused.error
    assert Path("site/index.html").read_text() == "precious"


@pytest.mark.slow
def test_a_demo_that_fails_leaves_nothing(gen3d, leftovers, monkeypatch):
    def fail(*arguments, **options):
        raise Gen3DError("no surface at level 10")

    monkeypatch.setattr(workflow, "extract_mesh", fail)
    result = gen3d("demo", "-o", "out", "-q")
    assert result.code == 1
    assert "no surface" in result.error
    assert leftovers() == []


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(gen3d, leftovers, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "extract_mesh", stop)
    result = gen3d("demo", "-o", "out", "-q")
    assert result.code == 130
    assert leftovers() == []


def test_a_full_disk_is_one_line(gen3d, leftovers, monkeypatch):
    import errno

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    result = gen3d("demo", "-o", "out", "-q")
    assert result.code == 1
    assert "disk is full" in result.error
    assert leftovers() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--device", "teapot"], 2, "not available here"),
        (["-o", "file/out"], 1, "not a writable folder"),
        (["-o", "file"], 1, "not a writable folder"),
    ],
)
def test_bad_input_is_one_line(gen3d, leftovers, arguments, code, message):
    Path("file").touch()
    result = gen3d("demo", "-q", *arguments)
    assert result.code == code
    assert message in result.error
    assert leftovers() == ["file"]


def test_a_missing_ffmpeg_is_said_before_the_work(gen3d, leftovers, monkeypatch):
    import imageio_ffmpeg

    def none():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    monkeypatch.setattr(workflow, "load_generator", lambda *arguments, **options: pytest.fail("work has begun"))
    result = gen3d("demo", "-o", "out", "-q")
    assert result.code == 5
    assert "pip install imageio-ffmpeg" in result.error
    assert leftovers() == []
