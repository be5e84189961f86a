"""`gen3d invert --each`: many photos, an object each; one that fails stops no other."""

import json
import shutil
from pathlib import Path

import pytest

import gen3d_tools as g3
from gen3d_tools.errors import MissingDependencyError, PlaceError
from gen3d_tools.media.images import write_image
from gen3d_tools.workflows.invert import each
from tests.support.programs import gen3d_process

KNOWN = ("--each", "--class", "cube", "--camera", "35,22", "--model", "tiny", "--steps", 4, "--background", "none")


@pytest.fixture
def photos(gen3d, tiny_folder, tmp_path):
    """Two pictures of the tiny generator's own, and one that is no picture."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    generator = g3.load_generator(tiny_folder, device="cpu")
    for seed, name in ((4, "four.png"), (5, "five.png")):
        (field,) = generator.fields(generator.latents([seed], ["cube"]))
        write_image(tmp_path / name, g3.render(field, generator.default_camera(), resolution=32).rgb)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return "four.png", "five.png", "broken.png"


def results(folder):
    """Every file but records, which tell of the time."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if path.name != "run.json"}


@pytest.mark.slow
def test_each_photo_becomes_a_result_and_one_that_cannot_is_listed(gen3d, photos):
    done = gen3d("invert", *photos, *KNOWN, "-o", "out/", "-q")
    assert done.code == 7
    assert "1 failed: broken.png; the rest is written" in done.error
    assert sorted(done.paths) == ["out/five", "out/four"]
    assert g3.load_generator("out/four", base="tiny").class_names == ("ball", "cube")
    record = json.loads(Path("out/run.json").read_text())
    assert set(record["options"]["photos"]) == set(photos)
    assert "broken.png" in record["failed"]
    kept = results(Path("out"))
    shutil.copyfile("four.png", "broken.png")
    assert gen3d("invert", *photos, *KNOWN, "-o", "out/", "--resume").code == 2  # other photos are other work
    shutil.rmtree("out/four")
    Path("broken.png").write_bytes(b"no picture")
    again = gen3d("invert", *photos, *KNOWN, "-o", "out/", "--resume", "-q")
    assert again.code == 7
    assert sorted(again.paths) == ["out/five", "out/four"]
    assert results(Path("out")) == kept


@pytest.mark.slow
def test_two_workers_make_what_one_makes(photos, tmp_path):
    command = (tmp_path, "invert", *photos[:2], *KNOWN)
    done = gen3d_process(*((*command, "-o", f"{workers}/", "--workers", workers) for workers in (1, 2)))
    assert done.returncode == 0, done.stderr
    made = {workers: results(tmp_path / str(workers)) for workers in (1, 2)}
    assert made[1] == made[2]
    assert {"four/overview.png", "five/overview.png", "manifest.jsonl"} <= set(made[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("four.png", "sub/four.png", "--each"), "would both become the folder four; rename one of them"),
        (("four.png", "gone.png", "--each"), "no photo gone.png"),
        (("four.png", "..png", "--each"), "a result is called after its photo, and ..png leaves no name; rename it"),
        (("four.png", "...png", "--each"), "and ...png leaves no name"),
        (("four.png", "--each", "--mask", "four.png"), "a mask belongs to one photo"),
        (("four.png", "--each", "-o", "one.glb"), "is one file, and results are folders"),
        (("four.png", "five.png", "--workers", 2), "--workers shares out photos of several objects; add --each"),
        (("four.png", "five.png", "--ray", "local"), "--ray shares out photos of several objects; add --each"),
    ],
)
def test_what_cannot_be_meant_is_told_before_any_work(gen3d, photos, arguments, message):
    Path("sub").mkdir()
    for copy in ("sub/four.png", "..png", "...png"):
        shutil.copyfile("four.png", copy)
    done = gen3d("invert", *arguments, "--model", "tiny")
    assert done.code in (2, 3)
    assert message in done.error
    assert not Path("gen3d-out").exists()


@pytest.mark.parametrize("error", [PlaceError("the disk is full"), MissingDependencyError("rembg is missing")])
def test_what_all_others_would_meet_too_ends_the_run(gen3d, photos, monkeypatch, error):
    tried = []

    def make(generator, request, reporter):
        tried.append(request)
        raise error

    monkeypatch.setattr(each, "invert_with", make)
    done = gen3d("invert", *photos, *KNOWN, "-o", "out/")
    assert done.code == error.exit_code
    assert done.error == f"error: {error}"
    assert len(tried) == 1


def test_a_photo_that_is_named_twice_is_taken_once(gen3d, photos):
    done = gen3d("invert", "four.png", *photos[:2], *KNOWN, "-o", "out/", "--dry-run")
    assert sorted(done.paths) == ["out/five", "out/four"]


def test_a_dry_run_names_the_folders(gen3d, photos):
    done = gen3d("invert", *photos[:2], *KNOWN, "-o", "out/", "--dry-run")
    assert done.code == 0, done.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--class", "nonsense"), "nonsense"),
        (("--camera", "nofile.json"), "no camera file at nofile.json"),
        (("--features", "nothing.pt"), "nothing.pt"),
        (("--conditioning", "photo"), "latents are not conditioned on a camera"),
        (("--refine",), "--refine is for models without latents"),
    ],
)
def test_a_dry_run_refuses_what_the_model_does_not_allow(gen3d, photos, arguments, message):
    done = gen3d("invert", *photos[:2], "--each", "--model", "tiny", *arguments, "--dry-run")
    assert done.code in (2, 3)
    assert message in done.error
