"""Files to pixels: colour pictures and depth maps of one size, bounded and refused by name."""

from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int64, UInt8, UInt16
from PIL import Image, ImageOps

from gen3d_tools.errors import InputError
from gen3d_tools.media.opening import FORMATS, MAX_PIXELS, reading_picture
from gen3d_tools.searching import is_hidden

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
DEPTH_SUFFIX = "_depth.png"
_GREY = ("L", "LA")
_COLOUR = ("RGB", "RGBA")


def is_picture(name: str) -> bool:
    """Whether a file is a picture to learn from; depth maps and hidden files are not."""
    lower = name.lower()
    return lower.endswith(SUFFIXES) and not lower.endswith(DEPTH_SUFFIX) and not is_hidden(name)


def depth_name(name: str) -> str:
    """Where the depth map of a picture lies."""
    return str(PurePosixPath(name).with_suffix("")) + DEPTH_SUFFIX


def decode_colour(data: bytes, where: Path, side: int | None, resolution: int) -> UInt8[np.ndarray, "3 r r"]:
    """Decode a picture, upright (EXIF) and on white where it is transparent, and shrink it to the resolution.

    Args:
        data: Bytes of the file.
        where: What messages call it.
        side: Pixels along a side that all pictures have; None for the first, which decides.
        resolution: Pixels along a side of the result.

    Raises:
        InputError: It is no picture, broken, not square, of another size, or its numbers have no known white.
    """
    with reading_picture(where), Image.open(BytesIO(data), formats=_known()) as file:
        check_size(file.size, where, side, resolution)
        file.load()
        picture = _eight_bits(ImageOps.exif_transpose(file), where)
        if picture.has_transparency_data:
            clear = picture.convert("RGBA")
            white = Image.new("RGBA", clear.size, "white")
            picture = Image.alpha_composite(white, clear)
        picture = picture.convert("RGB")
        if picture.width != resolution:
            picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
        return np.asarray(picture).transpose(2, 0, 1).copy()


def _eight_bits(picture: Image.Image, where: Path) -> Image.Image:
    """Bring 16 bits to 8; Pillow's own conversion cuts them off at 255, so that nearly all becomes white."""
    if picture.mode == "F":
        raise InputError(
            f"{where} holds floating-point numbers, of which none is known to be white; save it with 8 bits"
        )
    if not _is_wide(picture):
        return picture
    values = _sixteen_bits(picture, where)
    grey = Image.fromarray((values / 257).round().astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _is_wide(picture: Image.Image) -> bool:
    return picture.mode == "I" or picture.mode.startswith("I;16")


def _sixteen_bits(picture: Image.Image, where: Path) -> Int64[np.ndarray, "h w"]:
    """Numbers of a picture with one wide channel, in 0..65535."""
    values = np.asarray(picture).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(
            f"{where} holds numbers from {low} to {high}, needed are 0 to 65535; save it with 16 bits or 8"
        )
    return values


def check_size(size: tuple[int, int], where: Path, side: int | None, resolution: int) -> None:
    """Refuse a picture that does not fit the others.

    Raises:
        InputError: It is not square, smaller than the resolution, or of another size than the first.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(f"{where} has {width} x {height} pixels, more than a camera makes; shrink it first")
    if width != height:
        raise InputError(
            f"{where} is {width} x {height}; pictures must be square; gen3d align PHOTOS --preset object makes them so"
        )
    if side is not None and width != side:
        raise InputError(f"{where} is {width} x {height}, the first picture is {side} x {side}; bring all to one size")
    if width < resolution:
        raise InputError(f"{where} is {width} x {height}, smaller than the resolution {resolution}; lower --resolution")


def size_of(data: bytes, where: Path) -> tuple[int, int]:
    """Width and height, from the file's header."""
    with reading_picture(where), Image.open(BytesIO(data), formats=_known()) as file:
        return file.size


def decode_depth(data: bytes, where: Path, side: int, resolution: int) -> UInt16[np.ndarray, "r r"]:
    """Decode a depth map: 16 bits as they are, 8 bits times 256; larger is farther.

    Args:
        data: Bytes of the file.
        where: What messages call it.
        side: Pixels along a side of its picture.
        resolution: Pixels along a side of the result.

    Raises:
        InputError: It is no picture, broken, of another size than its picture, or not grey.
    """
    with reading_picture(where), Image.open(BytesIO(data), formats=("PNG",)) as file:
        if file.size != (side, side):
            raise InputError(f"{where} is {file.width} x {file.height}, its picture {side} x {side}; they must agree")
        file.load()
        wide = _levels(ImageOps.exif_transpose(file), where)
    if resolution != side:
        small = Image.fromarray(wide.astype(np.float32)).resize((resolution, resolution), Image.Resampling.BOX)
        wide = np.asarray(small).round().astype(np.int64)
    return wide.clip(0, 65535).astype(np.uint16)


def _levels(picture: Image.Image, where: Path) -> Int64[np.ndarray, "h w"]:
    """Levels of a depth map, in 0..65535; what a palette or colours mean is not guessed."""
    if _is_wide(picture):
        return _sixteen_bits(picture, where)
    if picture.mode not in _GREY + _COLOUR:
        raise InputError(
            f"{where} has Pillow's mode {picture.mode}; a depth map must be grey; save it with 16 bits or 8"
        )
    levels = np.asarray(picture)
    if picture.mode in _COLOUR and (levels[..., :1] != levels[..., :3]).any():
        raise InputError(
            f"{where} has colours; a depth map must be grey; save it with 16 bits or 8, without a colour map"
        )
    return (levels if levels.ndim == 2 else levels[..., 0]).astype(np.int64) * 256


def _known() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]
