"""`gen3d directions` and `gen3d edit`: from a model to a result that every command takes."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gen3d_tools.editing.directions import load_directions
from gen3d_tools.generators.loading import load_generator


@pytest.fixture(autouse=True)
def small_overviews(monkeypatch):
    from gen3d_tools.workflows.editing import edit

    monkeypatch.setattr(edit, "_PICTURE", 16)


@pytest.fixture
def model(tiny_folder, tmp_path):
    """A copy with a name beside which results find it again."""
    import shutil

    shutil.copytree(tiny_folder, tmp_path / "tiny")
    return "tiny"


@pytest.mark.slow
def test_directions_are_found_listed_and_applied(gen3d, model):
    assert gen3d("directions", model, "--json").json["directions"] == []
    made = gen3d("directions", model, "--find", "--count", 2, "-o", "tiny/directions.safetensors")
    assert made.code == 0, made.err
    assert made.paths == ["tiny/directions.safetensors"]
    rows = gen3d("directions", model, "--json").json["directions"]
    assert [row["name"] for row in rows] == ["sefa-1", "sefa-2"]
    assert "sefa-2" in gen3d("directions", model).out
    edited = gen3d("edit", model, "--class", "cube", "--seeds", 3, "-d", "sefa-2=1.5", "-o", "edited")
    assert edited.code == 0, edited.err
    assert edited.paths == ["edited"]
    generator = load_generator("tiny", device="cpu")
    wanted = load_directions("tiny", generator)["sefa-2"].apply(generator.latents([3], ["cube"]), 1.5)
    result = load_generator("edited", device="cpu")
    assert torch.allclose(result.pivot.ws, wanted)
    assert result.pivot.class_index == 1


@pytest.mark.slow
def test_an_edited_sample_is_a_model_for_every_command(gen3d, model):
    assert gen3d("edit", model, "--class", "cube", "--seeds", 3, "-d", "pca-1=2", "-o", "edited").code == 0
    assert sorted(path.name for path in Path("edited").iterdir()) == [
        "config.json",
        "difference.safetensors",
        "overview.png",
        "run.json",
    ]
    assert gen3d("sample", "edited", "--size", 16, "-o", "after.png").code == 0
    assert gen3d("sample", model, "--class", "cube", "--seeds", 3, "--size", 16, "-o", "before.png").code == 0
    after, before = (np.asarray(Image.open(name), int) for name in ("after.png", "before.png"))
    assert np.abs(after - before).max() > 0
    assert gen3d("mesh", "edited", "--resolution", 24, "-o", "a.ply").code == 0
    assert gen3d("video", "edited", "--size", 16, "--seconds", 0.2, "-o", "a.mp4").code == 0
    said = gen3d("info", "edited").out
    assert "an edit of tiny cube 3 (pca-1 +2), with tiny" in said


@pytest.mark.slow
def test_a_result_is_edited_further_and_keeps_what_was_tuned(gen3d, model):
    gen3d("edit", model, "--class", "ball", "--seeds", 1, "-d", "sefa-1=2", "-o", "first")
    again = gen3d("edit", "first", "-d", "sefa-1=-2", "-d", "sefa-3=1", "-o", "second")
    assert again.code == 0, again.err
    generator = load_generator("tiny", device="cpu")
    from gen3d_tools.editing.finding import find_directions

    wanted = find_directions(generator)["sefa-3"].apply(generator.latents([1], ["ball"]), 1.0)
    assert torch.allclose(load_generator("second", device="cpu").pivot.ws, wanted, atol=1e-5)
    kept = [load_file(f"{name}/difference.safetensors")["levels"] for name in ("first", "second")]
    assert torch.equal(*kept)


@pytest.mark.slow
def test_several_samples_get_a_folder_each(gen3d, model):
    made = gen3d("edit", model, "--class", "all", "--seeds", "0,1", "-d", "sefa-1=1", "-o", "out", "--json")
    assert [Path(path).name for path in made.json["outputs"]] == ["ball-0000", "ball-0001", "cube-0000", "cube-0001"]
    assert gen3d("edit", model, "--seeds", "0", "-d", "sefa-1=1", "-o", "out", "--dry-run").code == 2


@pytest.mark.slow
def test_two_groups_of_seeds_give_a_direction_with_a_name(gen3d, model):
    groups = ("--positive", "1,4", "--negative", "2,3", "--class", "cube")
    made = gen3d("directions", model, *groups, "--name", "tall", "-o", "mine.safetensors")
    assert made.code == 0, made.err
    added = gen3d("directions", model, *groups, "--method", "svm", "--name", "wide", "--add", "-o", "mine.safetensors")
    assert added.code == 0, added.err
    found = load_directions("mine.safetensors", load_generator("tiny", device="cpu"))
    assert found.names == ("tall", "wide")
    assert (
        gen3d("edit", model, "--class", "cube", "-d", "wide=1", "--directions", "mine.safetensors", "-o", "a").code == 0
    )
    unused = gen3d("edit", model, "--class", "cube", "-d", "sefa-1=1", "--directions", "mine.safetensors", "-o", "b")
    assert unused.code == 2
    assert "nothing is moved along a direction of mine.safetensors (it holds tall, wide); name one" in unused.error
    assert not Path("b").exists()
    wrong_class = gen3d("edit", model, "--class", "ball", "-d", "wide=1", "--directions", "mine.safetensors", "-o", "b")
    assert wrong_class.code == 2
    assert "no direction is called 'wide' here: there is one for cube, and" in wrong_class.error
    assert "is of the class ball; choose --class cube" in wrong_class.error
    suggested = re.search(r"Next: gen3d (edit .*)", added.err)[1]
    done = gen3d(*shlex.split(suggested), "-o", "c")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_folder_gets_a_sheet_that_shows_what_each_does(gen3d, model, monkeypatch):
    from gen3d_tools.workflows.editing import directions

    monkeypatch.setattr(directions, "_PICTURE", 16)
    made = gen3d("directions", model, "--find", "--method", "pca", "--count", 2, "-o", "found/")
    assert made.paths == ["found/directions.safetensors", "found/directions.png"]
    assert json.loads(Path("found/run.json").read_text())["options"]["method"] == "pca"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("edit", "tiny"), 2, "name a direction and how far, such as --direction size=1.5"),
        (("edit", "tiny", "-d", "size"), 2, "is not written NAME=AMOUNT"),
        (("edit", "tiny", "-d", "sefa-1=nan"), 2, "is not written NAME=AMOUNT"),
        (("edit", "tiny", "-d", "sefa-1=99"), 2, "must lie in -20..20 standard deviations"),
        (("edit", "tiny", "-d", "size=1"), 2, "this model has none of its own"),
        (("edit", "tiny", "-d", "sefa-900=1"), 2, "is not among them"),
        (("edit", "tiny", "-d", "x=1", "--directions", "none.safetensors"), 3, "there is no file none.safetensors"),
        (("directions", "tiny", "--find", "--method", "ica"), 2, "must be sefa or pca"),
        (("directions", "tiny", "--find", "--layers", "99"), 2, "this model has layers 0 to"),
        (("directions", "tiny", "--positive", "1"), 2, "one group of seeds is missing"),
        (
            ("directions", "tiny", "--positive", "1", "--negative", "2", "--name", "very tall"),
            2,
            "choose another: --name",
        ),
        (("directions", "tiny", "--find", "-o", "a.json"), 2, "name it .safetensors"),
        (
            ("directions", "tiny", "--count", "3", "--add"),
            2,
            "--count, --add: that is for finding directions; add",
        ),
        (("directions", "tiny", "--class", "cube", "-o", "a"), 2, "--class, --out: that is for finding directions"),
        (
            ("directions", "tiny", "--find", "--name", "foo"),
            2,
            "finds is numbered: sefa-1, ...; leave --name out",
        ),
        (
            ("directions", "tiny", "--find", "--directions", "a"),
            2,
            "or say --add -o a to add what is found",
        ),
        (("directions", "tiny", "--find", "--add"), 2, "a new folder holds nothing to add to; name the file: --out"),
        (("directions", "tiny", "--positive", "1", "--negative", "2", "--count", "3"), 2, "leave --count out"),
        (
            ("directions", "tiny", "--find", "--add", "--overwrite", "-o", "a.safetensors"),
            2,
            "--add keeps what the file holds, --overwrite replaces it; leave one of them out",
        ),
        (("directions", "nothing"), 3, "no model 'nothing'"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(gen3d, model, leftovers, arguments, code, message):
    before = leftovers()
    outcome = gen3d(*arguments)
    assert outcome.code == code
    assert message in outcome.error
    assert leftovers() == before


def test_directions_of_another_model_are_refused(gen3d, model, tmp_path):
    gen3d("directions", model, "--find", "-o", "mine.safetensors")
    other = load_generator("tiny", device="cpu")
    other.decoder.net[0].bias.add_(1.0)
    other.save("other")
    for command in (("edit", "other", "-d", "sefa-1=1"), ("directions", "other")):
        outcome = gen3d(*command, "--directions", "mine.safetensors")
        assert outcome.code == 4
        assert "directions of another model" in outcome.error
