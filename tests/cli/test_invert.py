"""`gen3d invert`: a photo in, a model out; nothing is lost on the way."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gen3d_tools as g3
from gen3d_tools.checkpoints.results import DIFFERENCE_NAME
from gen3d_tools.inversion.results.unfinished import STATE_NAME
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.workflows.invert import run as workflow

KNOWN = ("--class", "cube", "--camera", "35,22", "--model", "tiny", "--steps", 4)
FILES = ["config.json", DIFFERENCE_NAME, "overview.png", "photo.png", "run.json"]


@pytest.fixture
def photo(gen3d, tiny_folder, tmp_path):
    """A picture of the tiny generator's own, beside the model."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    generator = g3.load_generator(tiny_folder, device="cpu")
    (field,) = generator.fields(generator.latents([4], ["cube"]))
    write_image(tmp_path / "photo.png", g3.render(field, generator.default_camera(), resolution=32).rgb)
    return "photo.png"


def interrupt_once(monkeypatch, stage, at):
    """Press Ctrl-C in the middle of a step of a stage."""
    step, calls = stage.step, []

    def pressed(self):
        calls.append(1)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    monkeypatch.setattr(stage, "step", pressed)


@pytest.mark.slow
def test_a_result_is_a_model_for_every_command(gen3d, photo):
    done = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result")
    assert done.code == 0, done.err
    assert done.paths == ["result"]
    assert "Next: gen3d video result" in done.err
    assert sorted(path.name for path in Path("result").iterdir()) == FILES
    assert not Path(".result.unfinished").exists()
    record = json.loads(Path("result/run.json").read_text())
    assert record["details"]["class"] == "cube"
    assert record["details"]["yaw_deg"] == pytest.approx(35, abs=0.01)
    info = gen3d("info", "result")
    assert "cube in photo.png" in info.out
    assert "yaw 35°, pitch 22°" in info.out
    assert "cube.png" in gen3d("sample", "result", "--size", 8, "-o", "own").out
    assert "cube-0003.png" in gen3d("sample", "result", "--size", 8, "--class", "cube", "--seeds", 3, "-o", "other").out
    assert gen3d("video", "result", "--size", 8, "--seconds", 0.1, "--dry-run").code == 0
    refused = gen3d("invert", photo, "--model", "result")
    assert refused.code == 2
    assert "is a result of an inversion already" in refused.error


@pytest.mark.slow
def test_what_was_interrupted_goes_on_to_the_same_result(gen3d, photo, monkeypatch):
    assert gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "straight", "-q").code == 0
    with monkeypatch.context() as patch:
        interrupt_once(patch, StageTwo, at=1)
        stopped = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "-q")
    assert stopped.code == 130
    assert "repeat the command with --resume" in stopped.error
    assert not Path("result").exists()
    other = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--seed", 1, "--resume", "-q")
    assert other.code == 2
    assert "was begun with different settings" in other.error
    config = Path("tiny", "config.json")
    before = config.read_text()
    told = json.loads(before)
    told["cameras"]["default"]["yaw_deg"] += 1
    config.write_text(json.dumps(told))
    changed = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--resume", "-q")
    assert changed.code == 2
    assert "was begun with different model config; repeat that command, or omit --resume" in changed.error
    config.write_text(before)
    state = Path(".result.unfinished", STATE_NAME)
    kept = state.read_bytes()
    state.write_bytes(kept.replace(b"class_index", b"class_other"))
    broken = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--resume", "-q")
    assert broken.code == 4
    assert "another version, or is broken" in broken.error
    state.write_bytes(kept[:1000])
    short = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--resume", "-q")
    assert short.code == 4
    assert "is broken; leave --resume out" in short.error
    state.write_bytes(kept)
    assert gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--resume", "-q").code == 0
    with monkeypatch.context() as patch:
        interrupt_once(patch, StageOne, at=2)
        assert gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "early", "-q").code == 130
    assert gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "early", "--resume", "-q").code == 0
    for folder in ("result", "early"):
        for name in (DIFFERENCE_NAME, "photo.png", "overview.png"):
            assert Path(folder, name).read_bytes() == Path("straight", name).read_bytes(), (folder, name)


@pytest.mark.slow
def test_an_interrupted_search_says_that_there_is_nothing_to_keep(gen3d, photo, leftovers, monkeypatch):
    before = leftovers()
    interrupt_once(monkeypatch, StageOne, at=1)
    stopped = gen3d("invert", photo, "--model", "tiny", "--class", "cube", "--background", "none", "-o", "result", "-q")
    assert stopped.code == 130
    assert "before there was anything to keep" in stopped.error
    assert leftovers() == before


def test_a_feature_network_is_known_by_its_contents(gen3d, photo):
    """A file that was exchanged is another job, whatever its name; one that was moved is the same."""
    features = [workflow.WorkOptions(features=name) for name in ("a.pt", "b.pt", "a.pt", "encoder")]
    jobs = []
    for work, contents in zip(features, (b"one", b"one", b"two", b""), strict=True):
        Path(work.features).write_bytes(contents) if contents else None
        request = workflow.InversionRequest(
            photos=[Path(photo)], model="tiny", about=workflow.PhotoOptions(), work=work, target=Path("result")
        )
        jobs.append(workflow._job(workflow.Run("invert", "tiny", request.options), [], work.settings(), None))
    assert jobs[0] == jobs[1]
    assert jobs[0]["features"] != jobs[2]["features"]
    assert jobs[3]["features"] == "encoder"


@pytest.mark.slow
def test_a_full_disk_at_the_end_loses_nothing(gen3d, photo, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "write_files", full)
        failed = gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "-q")
    assert failed.code == 1
    assert "the disk is full" in failed.error
    assert "--resume" in failed.error
    assert gen3d("invert", photo, *KNOWN, "--background", "none", "-o", "result", "--resume", "-q").code == 0


def test_a_dry_run_checks_everything_and_writes_nothing(gen3d, photo, leftovers):
    before = leftovers()
    done = gen3d("invert", photo, *KNOWN, "-o", "result", "--dry-run", "--background", "none")
    assert (done.code, done.paths) == (0, ["result"])
    assert leftovers() == before


def label(values):
    return " ".join(map(str, values))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.png"], 3, "no photo at nowhere.png"),
        (["words.txt"], 2, "not a picture"),
        (["photo.png", "--class", "sphere"], 2, "unknown class"),
        (["photo.png", "--preset", "quick"], 2, "choose from fast, balanced, best"),
        (["photo.png", "--steps", "1"], 2, "at least 2 steps"),
        (["photo.png", "--space", "z"], 2, "w or w+"),
        (["photo.png", "--background", "blue"], 2, "unknown background"),
        (["photo.png", "--camera", "1"], 2, "write yaw,pitch"),
        (["photo.png", "--camera", "10,95"], 2, "pitch is 95"),
        (["photo.png", "--camera", "10,nan"], 2, "pitch is nan"),
        (["photo.png", "--camera", "camera.json"], 3, "no camera file"),
        (["photo.png", "--camera", "short.txt"], 2, "3 numbers; a camera label has 25"),
        (["photo.png", "--camera", "words.txt"], 2, "is no camera"),
        (["photo.png", "--camera", "broken.txt"], 2, "broken.txt"),
        (["photo.png", "photo.png", "--camera", "10,20"], 2, "one camera for 2 photos"),
        (["photo.png", "photo.png", "--camera", "label.txt"], 2, "holds 1 cameras for 2 photos"),
        (["photo.png", "--mask", "photo.png", "--mask", "photo.png"], 2, "2 masks for 1 photos"),
        (["photo.png", "--mask", "wide.png"], 2, "they need one shape"),
        (["photo.png", "--mask", "nowhere.png"], 3, "no mask at nowhere.png"),
        (["photo.png", "--features", "vgg.pt"], 3, "vgg.pt"),
        (["photo.png", "--resume"], 3, "nothing to resume"),
        (["white.png", "--background", "border"], 2, "nothing but background"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(gen3d, photo, leftovers, arguments, code, words):
    Path("words.txt").write_text("these are words")
    Path("short.txt").write_text("1 2 3")
    Path("label.txt").write_text(label(g3.load_generator("tiny").default_camera().to_eg3d_label().tolist()))
    Path("broken.txt").write_text(label([0.0] * 25))
    Image.new("RGB", (64, 64), "white").save("white.png")
    Image.fromarray(np.full((16, 64), 255, np.uint8)).save("wide.png")
    before = leftovers()
    background = [] if "--background" in arguments else ["--background", "none"]
    done = gen3d("invert", *arguments, *background, "--model", "tiny", "-o", "result", "-q")
    assert done.code == code, done.err
    assert words in done.error
    assert leftovers() == before


@pytest.mark.slow
def test_a_label_file_names_the_camera_and_several_photos_share_a_latent(gen3d, photo):
    camera = g3.Camera.from_spherical([35.0, 80.0], 22, 2.7, fov_y_deg=20)
    Path("labels.json").write_text(json.dumps(camera.to_eg3d_label().tolist()))
    options = ("--class", 1, "--model", "tiny", "--steps", 2, "--background", "none", "--camera", "labels.json")
    done = gen3d("invert", photo, "--views", photo, *options, "-o", "result", "--json")
    assert done.code == 0, done.err
    assert done.json["details"]["yaw_deg"] == pytest.approx(35, abs=0.01)
    assert Path("result/photo-2.png").exists()
    torch.testing.assert_close(
        g3.load_generator("result").default_camera().cam2world, camera[0].cam2world, rtol=0, atol=1e-6
    )
    assert read_image("result/overview.png").shape[0] == 3


def test_one_of_several_objects_is_asked_for_by_number(gen3d, photo):
    picture = read_image(photo)
    two = torch.ones(3, 32, 96)
    two[:, 8:24, 8:24], two[:, 10:22, 60:72] = picture[:, 8:24, 8:24] * 0.5, 0.2
    write_image("two.png", two)
    asked = ("invert", "two.png", *KNOWN, "-o", "result", "--background")
    dry = gen3d(*asked, "border", "--dry-run")
    assert dry.code == 0, dry.err
    assert "two.png: there are 2 objects; the largest is taken, --object 2 is the next" in dry.err
    assert "2 objects" not in gen3d(*asked, "border", "--dry-run", "--object", "2").err
    for background, number, said in (
        ("border", "3", "--object 3: there are 2 objects in the photo"),
        ("border", "0", "1 is the largest"),
        ("none", "2", "leave --background none out"),
    ):
        refused = gen3d(*asked, background, "--object", number)
        assert (refused.code, refused.paths) == (2, [])
        assert said in refused.error
    assert not Path("result").exists()
