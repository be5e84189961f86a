"""Pixels of a data set: every mode of Pillow is read as it was meant, or refused by name."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen3d_tools.errors import InputError
from gen3d_tools.training.data.pictures import decode_colour, decode_depth

SIDE = 4
WHERE = Path("set/a.png")
RAMP = np.linspace(0, 65535, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)


def encoded(picture, form="PNG", **options):
    file = BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def colour(data):
    return decode_colour(data, WHERE, None, SIDE)


def depth(picture):
    return decode_depth(encoded(picture), WHERE, SIDE, SIDE)


@pytest.mark.parametrize(
    ("pixels", "form"), [(RAMP, "PNG"), (RAMP, "TIFF"), (RAMP.astype(">u2"), "TIFF"), (RAMP.astype(np.int32), "TIFF")]
)
def test_sixteen_bits_keep_their_greys(pixels, form):
    found = colour(encoded(Image.fromarray(pixels), form))
    assert np.array_equal(found, np.broadcast_to((RAMP / 257).round().astype(np.uint8), (3, SIDE, SIDE)))


def test_a_transparent_grey_of_sixteen_bits_lies_on_white():
    found = colour(encoded(Image.fromarray(RAMP), transparency=0))
    assert found[0, 0, 0] == 255
    assert found[0, 0, 1] == 17


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (RAMP.astype(np.float32) / 65535, "set/a.png holds floating-point numbers"),
        (RAMP.astype(np.int32) * 2, "set/a.png holds numbers from 0 to 131070, needed are 0 to 65535"),
    ],
)
def test_numbers_without_a_known_white_are_refused(pixels, message):
    with pytest.raises(InputError, match=message):
        colour(encoded(Image.fromarray(pixels), "TIFF"))


def test_pictures_stand_upright():
    pixels = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    assert np.array_equal(colour(encoded(Image.fromarray(pixels), exif=exif))[0], pixels[::-1, ::-1])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_depth_maps_are_read_in_every_mode(mode):
    eight = (RAMP // 257).astype(np.uint8)
    assert np.array_equal(depth(Image.fromarray(eight).convert(mode)), eight.astype(np.uint16) * 256)


def test_depth_maps_of_sixteen_bits_are_read_as_they_are():
    assert np.array_equal(depth(Image.fromarray(RAMP)), RAMP)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("1", (SIDE, SIDE)), "mode 1; a depth map must be grey"),
        (Image.new("P", (SIDE, SIDE)), "mode P; a depth map must be grey"),
        (Image.new("RGB", (SIDE, SIDE), (1, 1, 2)), "has colours; a depth map must be grey"),
    ],
)
def test_depth_maps_that_would_be_guessed_at_are_refused(picture, message):
    with pytest.raises(InputError, match=message):
        depth(picture)
