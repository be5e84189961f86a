"""Masks: a bad one is known as such, and a network of the person's own finds one."""

import sys

import numpy as np
import pytest
import torch
from skimage import data

from gen3d_tools.errors import CheckpointError, InputError, MissingDependencyError, NotFoundError
from gen3d_tools.media.images import write_image
from gen3d_tools.media.photos import OpenedPhoto
from gen3d_tools.photos.background import by_border, check_separation, cut_out
from gen3d_tools.photos.framing import Framing
from gen3d_tools.photos.mask_confidence import CONFIDENT, judge_mask
from gen3d_tools.photos.photo import check_separated, load_photo
from tests.photos.tiny_onnx import network

FRAMING = Framing(extent=0.5, smallest=0.4, largest=0.6, centre=(0.5, 0.5), shift=0.05)


def disc(side=96, radius=0.25, centre=(0.5, 0.5)):
    axis = (torch.arange(side) + 0.5) / side
    return (torch.hypot(axis[None] - centre[0], axis[:, None] - centre[1]) < radius).float()[None]


def scene(mask, front=(0.8, 0.15, 0.1), behind=(0.2, 0.35, 0.75)):
    front, behind = (torch.tensor(one)[:, None, None] for one in (front, behind))
    return front * mask + behind * (1 - mask)


def photo_of(name):
    return torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1) / 255


def test_the_mask_of_an_object_alone_is_believed():
    found = judge_mask(scene(disc()), disc())
    assert found.value == 1
    assert found.doubts == []
    ring = disc() * (1 - disc(radius=0.12))
    assert judge_mask(scene(ring), ring).value > CONFIDENT  # a donut is no sieve


@pytest.mark.parametrize(
    ("mask", "front", "words"),
    [
        (disc(radius=0.02), (0.8, 0.1, 0.1), "a speck or nearly the whole photo"),
        (1 - disc(radius=0.1), (0.8, 0.1, 0.1), "a speck or nearly the whole photo"),
        (disc(radius=0.45, centre=(0.0, 0.5)), (0.8, 0.1, 0.1), "run out of the photo"),
        ((torch.rand(1, 96, 96, generator=torch.Generator().manual_seed(0)) < 0.3).float(), (0.8, 0.1, 0.1), "holes"),
        (disc(), (0.2, 0.35, 0.75), "colours are those of the background"),
    ],
)
def test_each_sign_speaks_against_a_mask(mask, front, words):
    found = judge_mask(scene(mask, front), mask)
    assert found.value < CONFIDENT
    assert any(words in line for line in found.doubts)


def test_a_mask_that_another_border_changes_is_doubted():
    moving = judge_mask(scene(disc()), disc(), lambda part: torch.zeros_like(part[:1]))
    assert moving.doubts == ["another strip of border gives another object"]
    steady = judge_mask(scene(disc()), disc(), lambda part: disc()[:, 4:-4, 4:-4])
    assert steady.value == 1


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_photos_whose_border_says_nothing_are_stopped_unless_that_way_is_asked_for(tmp_path, tiny_generator, name):
    picture = torch.nn.functional.interpolate(photo_of(name)[None], scale_factor=0.2, mode="area")[0]
    path = tmp_path / "photo.png"
    write_image(path, picture)
    photo = load_photo(path, tiny_generator, framing=FRAMING)
    with pytest.raises(InputError, match=r"photo\.png could not be told from its background .* background='border'"):
        check_separated([photo])
    asked = load_photo(path, tiny_generator, framing=FRAMING, background="border")
    check_separated([asked])
    assert any("the mask is doubtful" in line for line in asked.warnings)


def test_a_photo_that_is_separated_well_keeps_its_background_for_the_overview(tmp_path, tiny_generator):
    path = tmp_path / "photo.png"
    write_image(path, scene(disc()))
    photo = load_photo(path, tiny_generator, framing=FRAMING)
    check_separated([photo])
    assert photo.doubts == ()
    torch.testing.assert_close(photo.uncut[:, 0, 0], torch.tensor([0.2, 0.35, 0.75]), rtol=0, atol=0.01)
    torch.testing.assert_close(photo.rgb[:, 0, 0], torch.ones(3))
    assert load_photo(path, tiny_generator, framing=FRAMING, background="none").uncut is None


def test_a_mask_of_colours_has_a_confidence_and_others_have_none():
    opened = OpenedPhoto(scene(disc()), None, ())
    assert cut_out(opened, "auto").confidence.value == 1
    assert cut_out(opened, "auto", disc()).confidence is None


@pytest.fixture
def stored(tmp_path):
    def store(content):
        path = tmp_path / "network.onnx"
        path.write_bytes(content)
        return path

    return store


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 3, 512, 512), (1, 3, "h", "w")])
def test_a_network_finds_what_it_was_made_for(stored, shape):
    bright = scene(disc(), front=(0.9, 0.9, 0.9), behind=(0.2, 0.2, 0.2))
    cutout = cut_out(OpenedPhoto(bright, None, ()), check_separation(str(stored(network(shape)))))
    assert cutout.method == "onnx"
    common = ((cutout.mask > 0.5) & (disc() > 0.5)).sum() / ((cutout.mask > 0.5) | (disc() > 0.5)).sum()
    assert common > 0.9
    assert (float(cutout.mask.min()), float(cutout.mask.max())) == pytest.approx((0, 1), abs=0.02)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (network((1, 1, 64, 64)), r"takes picture tensor\(float\) \[1, 1, 64, 64\]; needed: one picture \[1, 3,"),
        (network((1, 3, 64, 32)), "needed: one picture"),
        (network((1, 3)), "needed: one picture"),
        (network(inputs=("picture", "prompt")), "prompt"),
        (network(axes=(2,)), r"answers with \[1, 3, 1, 64\]"),
        (b"these are words", "no network that loads"),
        (b"", "no network that loads"),
        (network()[:60], "no network that loads"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
    ],
)
def test_a_file_of_another_network_is_refused_in_one_line(stored, content, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        cut_out(OpenedPhoto(scene(disc()), None, ()), stored(content))
    assert "\n" not in str(caught.value)


def test_a_network_that_is_not_there_or_a_runtime_that_is_not_installed(stored, monkeypatch):
    with pytest.raises(NotFoundError, match=r"no network at nowhere\.onnx"):
        check_separation("nowhere.onnx")
    path = stored(network())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        cut_out(OpenedPhoto(scene(disc()), None, ()), path)


def test_a_ramp_behind_an_object_is_told_from_it():
    ramp = torch.linspace(0.3, 0.8, 96).expand(3, 96, 96) * torch.tensor([1.0, 0.9, 0.7])[:, None, None]
    noise = 0.02 * torch.from_numpy(np.random.RandomState(0).randn(3, 96, 96)).float()
    picture = (scene(disc()) * disc() + (ramp + noise) * (1 - disc())).clamp(0, 1)
    assert judge_mask(picture, by_border(picture), by_border).value >= CONFIDENT
