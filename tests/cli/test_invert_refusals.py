"""What `gen3d invert` refuses before any work is done: a dry run says it too."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import gen3d_tools as g3
from gen3d_tools.media.images import write_image
from tests.photos.tiny_onnx import network


@pytest.fixture
def photo(gen3d, tiny_folder, tmp_path):
    """Any picture, beside the model."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    write_image(tmp_path / "photo.png", torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return "photo.png"


def write_bad_files():
    """Files that are something else than what options ask for."""
    label = g3.Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=20.0).to_eg3d_label().tolist()
    Path("labels.json").write_text(json.dumps({"labels": [["other.png", label]]}))
    Path("points.json").write_text(
        json.dumps({"points": [[11, 9], [21, 9], [16, 14], [11, 20], [21, 20]], "size": [100, 90]})
    )
    Path("words.onnx").write_text("these are words")
    Path("grey.onnx").write_bytes(network((1, 1, 64, 64)))


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--features", "vgg.pt"], 3, "vgg.pt"),
        (["--features", "photo.png"], 4, "no TorchScript file"),
        (["--resume"], 3, "nothing to resume"),
        (["--seed", 2**32], 2, "a seed must lie between 0 and 4294967295"),
        (["--steps", 10**9], 2, "steps is 1000000000; it must lie in 2..100000"),
        (["-o", "result.png"], 2, "a result is a folder; try -o result"),
        (["--camera", ""], 2, "camera is ''; write yaw,pitch"),
        (["--tune", "early"], 2, "tune is 'early'; it must be all or decoder or late"),
        (["--conditioning", "side"], 2, "conditioning is 'side'; it must be front or photo"),
        (["--conditioning", "photo"], 2, "latents are not conditioned on a camera"),
        (["--background", "nowhere.onnx"], 3, "no network at nowhere.onnx"),
        (["--background", "words.onnx"], 4, "words.onnx is no network that loads"),
        (["--background", "grey.onnx"], 4, "grey.onnx takes picture tensor(float) [1, 1, 64, 64]; needed: one picture"),
        (["--camera", "labels.json"], 2, "labels.json has no label for photo.png; its labels belong to other.png"),
        (["--align", "--landmarks", "points.json"], 2, "belong to a photo of 100 x 90 pixels, photo.png has 32 x 32"),
        (["--align", "--landmarks", "40,9,20,9,16,14,11,20,21,20"], 2, "left_eye lies at 40, 9, outside photo.png"),
        (["--align", "--landmarks", "11,9,11,9,16,14,11,20,21,20"], 2, "left_eye and right_eye are the same point"),
        (["--align", "--landmarks", "21,9,11,9,16,14,21,20,11,20"], 2, "the landmarks are mirrored"),
        (["--landmarks", "11,9,21,9,16,14,11,20,21,20"], 2, "add --align"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(gen3d, photo, leftovers, arguments, code, words, dry):
    write_bad_files()
    before = leftovers()
    out = [] if "-o" in arguments else ["-o", "result"]
    separation = [] if "--background" in arguments else ["--background", "none"]
    done = gen3d("invert", photo, *arguments, *out, "--model", "tiny", *separation, "-q", *dry)
    assert done.code == code, done.err
    assert words in done.error
    assert leftovers() == before


@pytest.mark.slow
def test_a_result_whose_model_is_gone_says_which_model_it_was(gen3d, photo):
    known = ("--class", "cube", "--camera", "35,22", "--model", "tiny", "--steps", 2, "--background", "none", "-q")
    assert gen3d("invert", photo, *known, "-o", "result").code == 0
    assert g3.load_generator("result", device="cpu").pivot is not None
    Path("tiny").rename("elsewhere")
    gone = gen3d("sample", "result", "--size", 8, "-o", "picture.png")
    assert gone.code == 3
    assert "result was tuned from" in gone.error
    assert "tiny" in gone.error
    assert not Path("picture.png").exists()
