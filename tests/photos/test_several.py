"""A photo of several objects: said, the largest taken, or the one that is asked for."""

import pytest
import torch
from PIL import Image

from gen3d_tools.errors import InputError
from gen3d_tools.inversion.presets import preset
from gen3d_tools.media.images import write_image
from gen3d_tools.media.photos import OpenedPhoto
from gen3d_tools.photos.background import cut_out
from gen3d_tools.photos.photo import load_photo
from gen3d_tools.photos.several import choose_object
from gen3d_tools.workflows.reconstruct import ReconstructionTask, prepare
from tests.photos.test_separation import FRAMING, disc, scene

LEFT, RIGHT = disc(radius=0.2, centre=(0.28, 0.5)), disc(radius=0.15, centre=(0.78, 0.5))
BOTH = LEFT + RIGHT
CRUMB = disc(radius=0.04, centre=(0.78, 0.2))


def test_the_largest_is_taken_and_the_next_by_number():
    first, second = choose_object(BOTH), choose_object(BOTH, 2)
    assert (first.count, second.count) == (2, 2)
    assert torch.equal(first.mask, LEFT)
    assert torch.equal(second.mask, RIGHT)
    assert torch.equal(choose_object(BOTH, 1).mask, LEFT)


@pytest.mark.parametrize("side", [24, 96, 640])
def test_soft_edges_stay_with_their_object_at_any_size(side):
    soft = torch.nn.functional.interpolate(BOTH[None], (side, side), mode="bilinear", antialias=True)[0]
    parts = [choose_object(soft, number).mask for number in (1, 2)]
    assert torch.equal(parts[0] + parts[1], soft)
    assert not (parts[0] * parts[1]).any()


@pytest.mark.parametrize(
    "mask",
    [
        LEFT,
        LEFT + CRUMB,  # a crumb is no object
        disc(radius=0.3) * (1 - disc(radius=0.15)),  # a ring is one
        disc(radius=0.3) * (torch.arange(96) % 40 > 2).float(),  # cut through, but close together
        torch.ones(1, 30, 40),
    ],
    ids=["one", "crumb", "ring", "cuts", "all"],
)
def test_one_object_stays_as_it_is(mask):
    chosen = choose_object(mask)
    assert chosen.count == 1
    assert torch.equal(chosen.mask, mask)


def test_an_empty_mask_has_none():
    assert choose_object(torch.zeros(1, 8, 9)).count == 0


@pytest.mark.parametrize("number", [0, 3, -1])
def test_an_object_that_is_not_there_is_refused(number):
    with pytest.raises(InputError, match="there are 2 objects in the photo"):
        choose_object(BOTH, number)
    with pytest.raises(InputError, match="there is one object" if number > 1 else "1 = the largest"):
        choose_object(LEFT, number)


@pytest.mark.parametrize("way", ["border", "alpha", "mask"])
def test_every_way_to_separate_takes_one(way):
    opened = OpenedPhoto(scene(BOTH, behind=(1.0, 1.0, 1.0)), BOTH if way == "alpha" else None, ())
    cutout = cut_out(opened, "auto", BOTH if way == "mask" else None, 2)
    assert (cutout.method, cutout.objects) == (way, 2)
    torch.testing.assert_close(cutout.mask, RIGHT, atol=0.05, rtol=0)
    assert torch.equal(cutout.rgb[:, :, :40], torch.ones(3, 96, 40))  # the other one is white
    assert cutout.confidence is None or cutout.confidence.doubts == []


def test_several_objects_are_said_and_not_doubted(tmp_path, tiny_generator):
    path = tmp_path / "cups.png"
    write_image(path, scene(BOTH, behind=(0.9, 0.9, 0.85)))
    photo = load_photo(path, tiny_generator, framing=FRAMING)
    assert any("cups.png: there are 2 objects; the largest is taken" in line for line in photo.warnings)
    assert photo.doubts == ()
    second = load_photo(path, tiny_generator, framing=FRAMING, object_number=2)
    assert not any("2 objects" in line for line in second.warnings)
    assert not torch.equal(photo.mask, second.mask)


def test_a_model_that_looks_once_sees_one_object_too(tmp_path):
    write_image(tmp_path / "cups.png", scene(BOTH, behind=(0.9, 0.9, 0.85)))
    asked = {"mask": None, "background": "auto", "preset": "fast", "settings": preset("fast"), "refine": False}
    for number, mine, other in ((None, LEFT, RIGHT), (2, RIGHT, LEFT)):
        task = ReconstructionTask(photo=tmp_path / "cups.png", **asked, object_number=number)
        rgba, notes = prepare(task)
        opacity = torch.from_numpy(rgba[..., 3] / 255)
        assert float((opacity * mine).sum() / mine.sum()) > 0.95
        assert not (opacity * other).any()
        assert any("there are 2 objects" in line for line in notes) == (number is None)


def test_a_transparent_photo_is_shown_on_white_with_all_its_objects(tmp_path, tiny_generator):
    alpha = (BOTH * 255).round().to(torch.uint8)
    rgb = (scene(BOTH, behind=(0.0, 0.0, 0.0)) * 255).round().to(torch.uint8)
    Image.fromarray(torch.cat([rgb, alpha]).permute(1, 2, 0).contiguous().numpy(), "RGBA").save(tmp_path / "cups.png")
    photo = load_photo(tmp_path / "cups.png", tiny_generator, framing=FRAMING)
    assert photo.uncut.min(0).values.max() == 1  # white behind
    assert photo.uncut.amax(0).min() > 0.5  # and no black
