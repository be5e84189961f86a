"""What `gen3d invert` refuses before any work is done: a dry run says it too."""

import shutil
from pathlib import Path

import pytest
import torch

import gen3d_tools as g3
from gen3d_tools.media.images import write_image


@pytest.fixture
def photo(gen3d, tiny_folder, tmp_path):
    """Any picture, beside the model."""
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    write_image(tmp_path / "photo.png", torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return "photo.png"


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
    ],
)
def test_a_dry_run_refuses_what_the_run_would(gen3d, photo, leftovers, arguments, code, words, dry):
    before = leftovers()
    out = [] if "-o" in arguments else ["-o", "result"]
    done = gen3d("invert", photo, *arguments, *out, "--model", "tiny", "--background", "none", "-q", *dry)
    assert done.code == code, done.err
    assert words in done.error
    assert leftovers() == before


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
