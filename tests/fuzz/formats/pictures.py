"""Photos and masks, in every format that is read."""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gen3d_tools.errors import InputError, MissingDependencyError, OutOfMemoryError
from gen3d_tools.media.photos import open_mask, open_photo
from tests.fuzz.harness import Files, Format, only

SIDE = 24
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def _encoded(picture: Image.Image, form: str, **options: Any) -> Files:
    buffer = io.BytesIO()
    picture.save(buffer, format=form, **options)
    return {"picture": buffer.getvalue()}


def _photos() -> list[Files]:
    noise = np.random.RandomState(0).randint(0, 255, (SIDE, SIDE, 4)).astype(np.uint8)
    rgba = Image.fromarray(noise)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    animation = {"save_all": True, "append_images": [rgb.rotate(90)]}
    return [
        _encoded(rgb, "JPEG", icc_profile=profile, exif=exif),
        _encoded(rgb, "JPEG", progressive=True),
        _encoded(rgb.convert("CMYK"), "JPEG"),
        _encoded(rgb, "MPO", **animation),
        _encoded(rgba, "PNG", icc_profile=profile, exif=exif),
        _encoded(rgb.convert("P"), "PNG", transparency=3),
        _encoded(Image.fromarray(noise[..., 0].astype(np.uint16) << 4), "PNG"),
        _encoded(rgba, "WEBP"),
        _encoded(rgb, "WEBP", lossless=True, **animation),
        _encoded(rgb, "GIF", **animation),
        *(_encoded(rgb, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
        _encoded(grey.convert("1"), "TIFF", compression="group4"),
        _encoded(grey.convert("F"), "TIFF"),
        _encoded(rgb, "BMP"),
        _encoded(rgb.convert("P"), "BMP"),
        _encoded(rgb, "PPM"),
        _encoded(rgb, "AVIF"),
        _encoded(rgb, "JPEG2000"),
    ]


def _by_hand() -> list[tuple[str, Files]]:
    """Files that are refused before or after anything is decoded."""
    bomb = bytearray(_encoded(Image.new("RGB", (16, 16)), "BMP")["picture"])
    bomb[18:26] = (40_000).to_bytes(4, "little") * 2
    large = Image.new("1", (20_000, 20_000))
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(gen3d-was-here) (w) file\n"
    return [
        ("bomb", {"picture": bytes(bomb)}),
        ("large", _encoded(large, "PNG")),
        ("program", {"picture": drawing}),
        ("heic", {"picture": HEIC}),
    ]


def _of_pillow(event: str, arguments: tuple[Any, ...]) -> bool:
    """Looking for the package that reads HEIC, and Pillow's way to make a JPEG an MPO."""
    looking = event == "import" and arguments[0] == "pillow_heif"
    return looking or (event == "object.__setattr__" and isinstance(arguments[0], Image.Image))


FORMATS = [
    Format(
        name="photo",
        corpus=_photos,
        read=lambda folder: open_photo(only(folder)),
        extra=_by_hand,
        refusals=(InputError, MissingDependencyError, OutOfMemoryError),
        permits=_of_pillow,
        memory=2**30,
    ),
    Format(
        name="mask",
        corpus=_photos,
        read=lambda folder: open_mask(only(folder), (2 * SIDE, 2 * SIDE)),
        extra=_by_hand,
        refusals=(InputError, MissingDependencyError, OutOfMemoryError),
        permits=_of_pillow,
        memory=2**30,
    ),
]
