"""Picture files as other programs leave them: all bits count, a missing end is no missing row, the rest is one line."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from gen3d_tools.errors import InputError, OutOfMemoryError
from gen3d_tools.media.images import read_image
from gen3d_tools.media.opening import FORMATS, decode_picture
from gen3d_tools.media.photos import open_mask, open_photo

RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))


def colours(side=96):
    """A picture with something in every block, so that a wrong one shows."""
    noise = np.random.RandomState(0).rand(side, side, 3)
    return Image.fromarray((255 * noise).astype(np.uint8))


def encoded(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [1, 8, 10, 12, 16])
def test_grey_of_16_bits_is_as_bright_as_the_bits_that_are_used(tmp_path, bits, suffix):
    values = (RAMP * (2**bits - 1)).round().astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    opened = open_photo(tmp_path / f"a{suffix}")
    expected = torch.from_numpy(values / (2**bits - 1)).float()
    torch.testing.assert_close(opened.rgb[0], expected, atol=0.5 / 255 + 1e-6, rtol=0)
    assert opened.notes == (
        f"16 bits per pixel, {'' if bits == 16 else f'of which {bits} are used, '}were reduced to 8".replace(
            "pixel, were", "pixel were"
        ),
    )


def png_of_16_bits(values):
    """Colours of 16 bits, which Pillow does not write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_are_read_and_those_of_12_are_not_made_black(tmp_path, channels):
    values = (RAMP[..., None] * 65535).astype(np.uint16).repeat(channels, axis=2)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    torch.testing.assert_close(
        open_photo(tmp_path / "a.png").rgb[1], torch.from_numpy(RAMP).float(), atol=0.005, rtol=0
    )
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values >> 4))
    with pytest.raises(InputError, match=r"a\.png uses 12 or fewer of its 16 bits per colour"):
        open_photo(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(png_of_16_bits(0 * values))
    assert open_photo(tmp_path / "a.png").rgb.max() == 0  # black is black


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mask_of_zeros_and_ones_is_no_black_mask(tmp_path, kind):
    Image.fromarray((RAMP > 0.5).astype(kind)).save(tmp_path / "mask.png")
    mask, notes = open_mask(tmp_path / "mask.png", RAMP.shape)
    assert torch.equal(mask[0] > 0.5, torch.from_numpy(RAMP > 0.5))
    assert len(notes) == 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_is_read_because_every_row_is_there(tmp_path, missing, progressive):
    whole = encoded(colours(), format="JPEG", quality=90, progressive=progressive)
    assert whole.endswith(b"\xff\xd9")
    (tmp_path / "a.jpg").write_bytes(whole)
    expected = open_photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(whole[:-missing])
    opened = open_photo(tmp_path / "a.jpg")
    assert torch.equal(opened.rgb, expected.rgb)
    assert "lacks its last bytes" in opened.notes[0]
    assert torch.equal(read_image(tmp_path / "a.jpg"), expected.rgb)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side", [96, 4000])  # the larger one is decoded at half its size
def test_a_jpeg_that_lacks_a_row_is_refused(tmp_path, side, progressive):
    picture = colours(96).resize((side, side)) if side > 96 else colours(side)
    whole = encoded(picture, format="JPEG", quality=90, progressive=progressive)
    for kept in (len(whole) - 12, len(whole) * 9 // 10, len(whole) // 2):
        (tmp_path / "a.jpg").write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"a\.jpg is a broken picture"):
            open_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("error", [IndexError, TypeError, RuntimeError, NotImplementedError, KeyError, RecursionError])
def test_whatever_a_reader_of_pillow_raises_is_one_line(tmp_path, monkeypatch, error):
    colours().save(tmp_path / "a.png")

    def choke(self):
        raise error("two\nlines")

    monkeypatch.setattr(ImageFile.ImageFile, "load", choke)
    for read in (open_photo, read_image):
        with pytest.raises(InputError, match=r"a\.png is a broken picture \('?two"):
            read(tmp_path / "a.png")


def test_a_picture_that_does_not_fit_is_said_to_be_too_large(tmp_path, monkeypatch):
    colours().save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: bytearray(2**60))
    with pytest.raises(OutOfMemoryError, match="shrink it first"):
        decode_picture(tmp_path / "a.png")


@pytest.mark.parametrize("other", ["DDS", "TGA", "ICNS", "SGI", "PCX"])
def test_formats_of_other_trades_are_no_pictures(tmp_path, other):
    (tmp_path / "a.png").write_bytes(encoded(colours(32), format=other))
    with pytest.raises(InputError, match="not a picture"):
        open_photo(tmp_path / "a.png")
    assert other not in FORMATS


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_formats_of_cameras_and_drawing_programs_are_read(tmp_path, form):
    (tmp_path / "picture").write_bytes(encoded(colours(), format=form))
    assert open_photo(tmp_path / "picture").rgb.shape == (3, 96, 96)
