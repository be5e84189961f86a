"""Where outputs go, and what stops a command before any work: the same for all commands, dry or not."""

import json
import os
from pathlib import Path

import pytest

from gen3d_tools.workflows import sample as sample_workflow

SMALL = ("--size", 8)
COARSE = ("--resolution", 16, "--color-from", "points", "--level", 10)
KNOWN = ("--class", "cube", "--camera", "35,22", "--steps", 2, "--background", "none")
SHORT = ("--seconds", 0.2, "--fps", 10, *SMALL)


def everything(folder="."):
    """Every file below, with its contents."""
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


@pytest.fixture
def commands(tiny_folder, photo):
    """Each command with what it needs, but for -o."""
    return {
        "sample": ("sample", tiny_folder, "--class", "ball", *SMALL),
        "video": ("video", tiny_folder, "--class", "ball", "--format", "frames", *SHORT),
        "mesh": ("mesh", tiny_folder, "--class", "ball", *COARSE),
        "invert": ("invert", photo, "--model", tiny_folder, *KNOWN),
        "bench": ("bench", tiny_folder, "--resolution", 16, "--size", 8, "--repeat", 1),
    }


@pytest.fixture
def photo(tiny_generator):
    import gen3d_tools as g3
    from gen3d_tools.media.images import write_image

    (field,) = tiny_generator.fields(tiny_generator.latents([4], ["cube"]))
    write_image("photo.png", g3.render(field, tiny_generator.default_camera(), resolution=16).rgb)
    return "photo.png"


@pytest.fixture(autouse=True)
def in_own_folder(gen3d):
    """`gen3d` changes to an empty folder before anything is made."""


def test_a_thesis_in_a_folder_with_a_run_of_ours_stays(gen3d, commands):
    Path("project").mkdir()
    Path("project/thesis.tex").write_text("years of work")
    Path("project/notes").mkdir()
    assert gen3d(*commands["sample"], "-o", "project", "-q").code == 0
    before = everything("project")
    refused = gen3d(*commands["invert"], "-o", "project", "--overwrite")
    assert refused.code == 2
    assert "holds more than an earlier output (notes/, thesis.tex)" in refused.error
    assert everything("project") == before


@pytest.mark.slow
def test_what_a_run_made_and_nobody_changed_is_replaced(gen3d, commands):
    assert gen3d(*commands["sample"], "-o", "project", "-q").code == 0
    assert gen3d(*commands["invert"], "-o", "project", "--overwrite", "-q").code == 0
    assert "project/ball-0000.png" not in everything("project")
    Path("project/overview.png").write_text("painted over")
    refused = gen3d(*commands["invert"], "-o", "project", "--overwrite", "-q")
    assert refused.code == 2
    assert "(overview.png)" in refused.error


def test_overwrite_replaces_what_was_named_or_made_by_a_run_and_nothing_else(gen3d, commands):
    Path("out").mkdir()
    Path("out/ball-0000.png").write_text("precious")
    refused = gen3d(*commands["sample"], "-o", "out", "--overwrite", "-q")
    assert refused.code == 2
    assert "out holds what no recorded run has made (ball-0000.png)" in refused.error
    assert Path("out/ball-0000.png").read_text() == "precious"
    assert gen3d(*commands["sample"], "-o", "out/ball-0000.png", "--overwrite", "-q").code == 0  # it was named
    assert gen3d(*commands["sample"], "-o", "out", "--overwrite", "-q").code == 0  # a run has made it
    Path("x.mtl").write_text("precious")
    textured = (*commands["mesh"], "--texture", 64, "-o", "x.obj", "-q", "--overwrite")
    assert "x.mtl" in gen3d(*textured).error
    assert not Path("x.obj").exists()


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("command", "out", "record"),
    [
        ("sample", "out", "out/run.json"),
        ("sample", "x.png", "x.run.json"),
        ("video", "out", "out/run.json"),
        ("mesh", "x.glb", "x.run.json"),
        ("bench", "x.json", "x.run.json"),
    ],
)
def test_a_persons_own_run_json_stops_the_command_before_any_work(gen3d, commands, command, out, record, dry):
    Path(record).parent.mkdir(exist_ok=True)
    Path(record).write_text('{"mine": true}')
    before = everything()
    options = ["--dry-run"] if dry else []
    for overwrite in ([], ["--overwrite"]):
        refused = gen3d(*commands[command], "-o", out, "-q", *options, *overwrite)
        assert refused.code == 2
        assert f"{record} is in the way of the record" in refused.error
    assert everything() == before


def test_records_of_different_runs_do_not_replace_each_other(gen3d, commands):
    for command in ("sample", "mesh", "video"):
        assert gen3d(*commands[command], "-o", "out", "-q").code == 0
    assert gen3d(*commands["sample"], "-o", "x.png", "-q").code == 0
    assert gen3d(*commands["mesh"], "-o", "x.glb", "-q").code == 0
    records = [f"out/run{number}.json" for number in ("", "-2", "-3")] + ["x.run.json", "x.run-2.json"]
    assert [json.loads(Path(name).read_text())["command"] for name in records] == [
        "sample",
        "mesh",
        "video",
        "sample",
        "mesh",
    ]
    assert gen3d(*commands["mesh"], "-o", "out", "-q", "--overwrite").code == 0
    assert sorted(path.name for path in Path("out").glob("run*")) == ["run-2.json", "run-3.json", "run.json"]


@pytest.mark.slow
def test_a_record_lists_what_the_run_made_with_sizes_and_digests(gen3d, commands):
    import hashlib

    textured = (*commands["mesh"], "--texture", 64, "--format", "obj")
    assert gen3d(*textured, "-o", "out", "-q").code == 0
    assert gen3d(*commands["video"], "-o", "film", "-q").code == 0
    assert gen3d(*commands["invert"], "-o", "result", "-q").code == 0
    for folder, name in (("out", "ball-0000.mtl"), ("film", "ball-0000/00001.png"), ("result", "config.json")):
        files = json.loads(Path(folder, "run.json").read_text())["files"]
        assert name in files
        assert sorted(files) == sorted(
            str(path.relative_to(folder))
            for path in Path(folder).rglob("*")
            if path.is_file() and path.name != "run.json"
        )
        for file, proof in files.items():
            content = Path(folder, file).read_bytes()
            assert proof == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("sample", ["--psi", "nan"], "psi is nan"),
        ("sample", ["--pitch", "95"], "pitch is 95"),
        ("sample", ["--fov", "180"], "180"),
        ("sample", ["-o", "there.png"], "there.png exists already"),
        ("sample", ["-o", "there"], "there/ball-0000.png exists already"),
        ("sample", ["--seeds", "0-2", "-o", "there"], "there/ball-0000.png exists already, 1 of 3 outputs"),
        ("sample", ["-o", "there.png/x.png"], "not a writable folder"),
        ("video", ["--psi", "nan"], "psi is nan"),
        ("video", ["--pitch", "95"], "pitch is 95"),
        ("mesh", ["--psi", "5"], "psi is 5"),
        ("mesh", ["-o", "there"], "there/ball-0000.glb exists already"),
        ("bench", ["-o", "there.json"], "exists already"),
        ("invert", ["-o", "there"], "exists already"),
        ("invert", ["-o", "there.png"], "exists already"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(gen3d, commands, command, arguments, words, dry):
    Path("there").mkdir()
    for name in ("there.png", "there.json", "there/ball-0000.png", "there/ball-0000.glb"):
        Path(name).write_text("precious")
    before = everything()
    done = gen3d(*commands[command], *arguments, "-q", *(["--dry-run"] if dry else []))
    assert done.code in (1, 2)
    assert words in done.error
    assert everything() == before


def test_a_seed_named_twice_is_one_sample(gen3d, commands):
    done = gen3d(*commands["sample"], "--seeds", "0,0", "-o", "out")
    assert done.code == 0, done.err
    assert done.paths == ["out/ball-0000.png"]
    assert gen3d(*commands["sample"], "--seeds", "0,0", "-o", "x.png").paths == ["x.png"]


@pytest.mark.parametrize("there", [True, False], ids=["there already", "with a slash"])
@pytest.mark.parametrize(
    ("command", "name"), [("sample", "ball-0000.png"), ("video", "ball-0000/00000.png"), ("mesh", "ball-0000.glb")]
)
def test_a_folder_may_have_a_dot(gen3d, commands, command, name, there):
    if there:
        Path("out.v2").mkdir()
    done = gen3d(*commands[command], "-o", "out.v2" if there else "out.v2/", "-q")
    assert done.code == 0, done.err
    assert Path("out.v2", name).is_file()


def test_a_result_may_be_called_like_a_picture_if_a_slash_says_that_it_is_a_folder(gen3d, commands):
    assert "looks like a file" in gen3d(*commands["invert"], "-o", "x.png", "-q").error
    assert gen3d(*commands["invert"], "-o", "x.png/", "-q", "--dry-run").code == 0


@pytest.mark.parametrize("out", ["", ".", ".."])
def test_dots_and_nothing_name_no_result(gen3d, commands, out):
    before = everything()
    for command in ("invert", "bench"):
        done = gen3d(*commands[command], "-o", out, "-q")
        assert done.code == 2
        assert ("-o is empty" if not out else "not a name for an output") in done.error
    assert everything() == before


def test_dots_name_a_folder_for_outputs(gen3d, commands):
    Path("inner").mkdir()
    os.chdir("inner")
    assert gen3d(*commands["sample"], "-o", ".", "-q").paths == ["ball-0000.png"]
    assert gen3d(*commands["sample"], "-o", "..", "-q").paths == ["../ball-0000.png"]
    assert Path("run.json").is_file()
    assert Path("../run.json").is_file()
    assert gen3d(*commands["sample"], "-o", "", "-q").code == 2


@pytest.mark.parametrize(
    ("out", "words"),
    [("a" * 252 + ".png", "256 bytes"), ("a" * 256, "256 bytes"), ("b/" * 2500, "give a shorter one")],
)
def test_names_that_are_too_long_are_one_short_line_before_any_work(gen3d, commands, out, words, monkeypatch):
    monkeypatch.setattr(sample_workflow, "picture", lambda *_, **__: pytest.fail("work has begun"))
    before = everything()
    for command in ("sample", "invert"):
        done = gen3d(*commands[command], "-o", out, "-q")
        assert done.code == 2, done.err
        assert words in done.error
        assert len(done.error) < 300
    assert everything() == before


def test_the_longest_name_is_written_with_its_record(gen3d, commands):
    name = "a" * 251 + ".png"
    assert gen3d(*commands["sample"], "-o", name, "-q").paths == [name]
    assert sorted(map(len, os.listdir())) == sorted([len("photo.png"), 180 + len(".run.json"), 255])


@pytest.mark.slow
def test_a_model_or_photo_with_a_name_that_is_too_long_is_one_short_line(gen3d):
    for arguments in (("sample", "m" * 5000), ("invert", "p" * 300), ("info", "m" * 5000)):
        done = gen3d(*arguments)
        assert done.code in (2, 3)
        assert len(done.error) < 400, done.error


def test_a_link_is_written_through_and_modes_are_kept(gen3d, commands):
    Path("store").mkdir()
    Path("store/real.png").write_text("old")
    Path("store/real.png").chmod(0o400)
    Path("link.png").symlink_to("store/real.png")
    assert gen3d(*commands["sample"], "-o", "link.png", "-q").code == 2
    assert gen3d(*commands["sample"], "-o", "link.png", "-q", "--overwrite").code == 0
    assert Path("link.png").is_symlink()
    assert Path("store/real.png").read_bytes().startswith(b"\x89PNG")
    assert Path("store/real.png").stat().st_mode & 0o777 == 0o400
    assert os.listdir("store") == ["real.png"]


@pytest.mark.parametrize("command", ["sample", "mesh", "video", "bench"])
def test_a_link_to_a_folder_is_refused_as_a_file_before_any_work(gen3d, commands, command):
    Path("folder").mkdir()
    suffix = {"sample": ".png", "mesh": ".glb", "video": ".mp4", "bench": ".json"}[command]
    link = Path(f"link{suffix}")
    link.symlink_to("folder")
    arguments = [one for one in commands[command] if one not in ("--format", "frames")]
    done = gen3d(*arguments, "-o", link, "--overwrite", "-q")
    if command == "bench":
        assert "is a folder" in done.error
    else:  # where several outputs fit, a folder is where they go
        assert done.code == 0, done.err
    assert link.is_symlink()


def test_class_names_of_any_length_give_files(tiny_folder, gen3d, tmp_path):
    import shutil

    model = shutil.copytree(tiny_folder, tmp_path / "long")
    config = json.loads((model / "config.json").read_text())
    config["class_names"] = ["ü" * 400, "ü" * 399 + "!"]
    (model / "config.json").write_text(json.dumps(config))
    done = gen3d("sample", model, "--class", "all", "-o", "out", *SMALL)
    assert done.code == 0, done.err
    assert len(set(done.paths)) == 2
    assert gen3d("sample", model, "--class", "ü" * 400, *SMALL, "-q").code == 0
