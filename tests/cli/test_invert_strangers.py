"""`gen3d invert` tells at once that a photo shows nothing the model knows, and says first that a result is poor."""

import shutil
from pathlib import Path

import pytest
import torch
from skimage import data

from gen3d_tools.errors import OutOfDistributionError
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.media.images import write_image
from gen3d_tools.workflows.invert import run as workflow
from gen3d_tools.workflows.running.reporting import Reporter

TOY = Path(__file__).parents[2] / "examples/photos/mug.jpg"


def write_strangers(folder):
    """Photos of a cup, a cat and a person, and a picture of noise."""
    for name, picture in {"cup": data.coffee(), "cat": data.chelsea(), "person": data.astronaut()}.items():
        write_image(folder / f"{name}.png", torch.from_numpy(picture.copy()).permute(2, 0, 1) / 255)
    write_image(folder / "noise.png", torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cup", "cat", "person", "noise"])
def test_a_stranger_is_told_in_one_line_before_the_work(gen3d, leftovers, tmp_path, name):
    write_strangers(tmp_path)
    before = leftovers()
    done = gen3d("invert", f"{name}.png", "--background", "none", "-o", "result", "-q")
    assert done.code == OutOfDistributionError.exit_code
    assert f"{name}.png shows nothing that shapes knows (car, chair, donut" in done.error
    assert "familiarity is 0." in done.error
    assert "a face needs a model of faces" in done.error
    assert "--anyway goes on" in done.error
    assert leftovers() == before


@pytest.mark.slow
def test_anyway_goes_on_and_a_toy_needs_no_such_word(gen3d, leftovers, tmp_path):
    write_strangers(tmp_path)
    shutil.copy(TOY, tmp_path / "mug.jpg")
    before = leftovers()
    assert gen3d("invert", "cup.png", "--background", "none", "-o", "result", "--dry-run", "--anyway").code == 0
    assert gen3d("invert", "mug.jpg", "-o", "result", "--dry-run").code == 0
    strange_view = gen3d("invert", "mug.jpg", "cat.png", "--background", "none", "-o", "result", "-q")
    assert strange_view.code == OutOfDistributionError.exit_code
    assert "cat.png shows nothing" in strange_view.error
    assert leftovers() == before


def test_a_model_without_an_encoder_refuses_nobody(gen3d, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    write_strangers(tmp_path)
    known = ("--class", "cube", "--camera", "35,22", "--model", "tiny", "--background", "none")
    assert gen3d("invert", "cat.png", *known, "-o", "result", "--dry-run").code == 0


def test_a_poor_result_says_so_before_its_path(monkeypatch):
    told = []

    class Told(Reporter):
        def say(self, message):
            told.append(message)

        def made(self, path, line="", *, planned=False):
            told.append(f"wrote {path}")

    found = {"class": "mug", "yaw_deg": 3.0, "pitch_deg": 4.0}
    monkeypatch.setattr(workflow, "_details", lambda result: found)
    metrics = {"stage_one": {"psnr": 14.0}, "stage_two": {"psnr": 20.0}}
    result = object.__new__(InversionResult)  # of which a report reads no more than this
    vars(result).update(metrics={**metrics, "fit": "poor"}, warnings=("looks like nothing this model knows",))
    workflow._report(result, Path("result"), Told())
    assert told[:2] == ["warning: looks like nothing this model knows", "wrote result"]
