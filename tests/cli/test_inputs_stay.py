"""What a command reads, and what others made, stays: also with --overwrite."""

import json
import shutil
from pathlib import Path

import pytest

FAST = ("--resolution", 16, "--no-color", "--format", "ply", "--level", 10)


@pytest.fixture
def model(tiny_folder, tmp_path):
    """A copy that may be broken; two classes whose names make one file name."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    config = tmp_path / "tiny/config.json"
    told = json.loads(config.read_text())
    told["class_names"] = ["a b", "a_b"]
    config.write_text(json.dumps(told))
    return "tiny"


def contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "tiny", "--class", 0, "-d", "sefa-1=2", "-o", "tiny"),
        ("edit", "tiny", "--class", 0, "-d", "sefa-1=2", "-o", "link"),
        ("directions", "tiny", "--find", "--count", 2, "-o", "tiny/model.safetensors"),
        ("invert", "photo.png", "--model", "tiny", "-o", "tiny", "--dry-run"),
        ("invert", "tiny/photo.png", "--model", "tiny", "-o", "tiny", "--dry-run"),
        ("align", "photos/photo.png", "--preset", "object", "-o", "photos"),
        ("video", "tiny", "--class", 0, "--path", "cams/transforms.json", "--cameras-out", "nerfstudio", "-o", "cams"),
    ],
)
def test_what_is_read_is_never_replaced(gen3d, model, arguments):
    assert gen3d("sample", model, "--class", 0, "--seeds", 0, "--size", 16, "-o", "photo.png").code == 0
    shutil.copy("photo.png", "tiny/photo.png")
    Path("photos").mkdir()
    shutil.copy("photo.png", "photos/photo.png")
    Path("link").symlink_to("tiny")
    if "cams" in arguments:
        filmed = gen3d("video", model, "--class", 0, "--seconds", 0.1, "--cameras-out", "nerfstudio", "-o", "cams")
        assert filmed.code == 0, filmed.err
    before = contents(".")
    outcome = gen3d(*arguments, "--overwrite")
    assert outcome.code == 2, outcome.err
    assert "what this run reads, so it stays" in outcome.error
    assert contents(".") == before


def test_two_samples_of_one_name_are_no_two_results(gen3d, model, leftovers):
    before = leftovers()
    outcome = gen3d("edit", model, "--class", "0,1", "--seeds", 0, "-d", "sefa-1=2", "-o", "out", "--overwrite")
    assert outcome.code == 2
    assert "two of the samples would both be written to" in outcome.error
    assert leftovers() == before


def test_a_direction_that_is_added_leaves_another_picture_beside_it(gen3d, model):
    groups = ("--positive", "1,4", "--negative", "2,3", "--class", 0)
    assert gen3d("directions", model, *groups, "--name", "tall", "-o", "mine/directions.safetensors").code == 0
    Path("mine/directions.png").write_text("a picture of mine")
    before = contents("mine")
    outcome = gen3d("directions", model, *groups, "--name", "wide", "--add", "-o", "mine/")
    assert outcome.code == 2
    assert "what no recorded run has made (directions.png)" in outcome.error
    assert contents("mine") == before


def test_notes_of_an_unfinished_batch_are_not_taken_for_ours(gen3d, tiny_folder):
    Path("out/.unfinished").mkdir(parents=True)
    Path("out/.unfinished/ball-0000.json").write_text("mine")
    outcome = gen3d("mesh", tiny_folder, "--class", "ball", "--seeds", "0,1", "-o", "out", *FAST)
    assert outcome.code == 2
    assert "what no recorded run has made (ball-0000.json)" in outcome.error
    assert contents("out") == {"out/.unfinished/ball-0000.json": b"mine"}
