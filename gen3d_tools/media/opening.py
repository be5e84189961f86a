"""Picture files of strangers, opened with Pillow: a list of formats, and one line for whatever goes wrong in it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from gen3d_tools.errors import Gen3DError, InputError, OutOfMemoryError
from gen3d_tools.printable import printable

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "HEIF", "JPEG2000")
"""What cameras, phones and drawing programs write. Pillow's other readers are for games and for satellites."""

MAX_PIXELS = 120_000_000  # of a file; more is a bomb, or nothing a camera makes
_PROGRAMS = {b"%!PS": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"\xd7\xcd\xc6\x9a": "WMF", b"\x01\x00\x00\x00": "EMF"}
_JPEG = ("JPEG", "MPO")
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """The first picture of a file, as it lies there."""

    image: Image.Image
    size: tuple[int, int]
    """Width and height in the file."""
    was_wide: bool
    """Whether its channels have 16 bits, of which Pillow keeps the upper 8 if there are several."""
    notes: tuple[str, ...]
    """What was put right, one line each."""


def decode_picture(path: Path, largest: int | None = None) -> DecodedPicture:
    """Read the first picture of a file with all its pixels, as it lies in the file.

    Args:
        path: The file.
        largest: Pixels along the longer side that are enough; a JPEG is then decoded at 1/2, 1/4 or 1/8.

    Raises:
        InputError: It is no picture, a program that draws, broken, cut short or too large.
        OutOfMemoryError: Its pixels do not fit.
    """
    with reading_picture(path):
        with path.open("rb") as file:
            head = file.read(4)
        if head in _PROGRAMS:  # reading one would run it
            raise InputError(
                f"{path} is a program that draws ({_PROGRAMS[head]}), not a photo; give a .jpg, .png or .webp"
            )
        return _decoded(path, largest)


@contextmanager
def reading_picture(path: Path) -> Iterator[None]:
    """Turn what Pillow may raise about a file, which is anything, into one line; its warnings are ours to judge."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Gen3DError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture that can be read; give a .jpg, .png or .webp") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} has more pixels than a camera makes; shrink it first") from error
    except MemoryError as error:
        raise OutOfMemoryError(f"{path} needs more memory than there is; shrink it first") from error
    except Exception as error:
        why = printable(str(error) or type(error).__name__, 120)
        raise InputError(f"{path} is a broken picture ({why}); give a whole .jpg, .png or .webp") from error


def _decoded(path: Path, largest: int | None) -> DecodedPicture:
    notes = []
    with Image.open(path, formats=_known()) as file:
        picture: Image.Image = file
        width, height = file.size
        if width * height > MAX_PIXELS:
            raise InputError(f"{path} has {width} x {height} pixels, more than a camera makes; shrink it first")
        frames = int(getattr(file, "n_frames", 1))
        if frames > 1:
            notes.append(f"{path.name} has {frames} frames; the first one is used")
        was_wide = any(";16" in str(tile) for tile in file.tile)
        _shrink_early(file, largest)
        try:
            file.load()
        except OSError:
            if file.format not in _JPEG:
                raise
            picture = _without_its_end(path.read_bytes(), largest)
            notes.append(f"{path.name} lacks its last bytes; all its rows are there")
        return DecodedPicture(picture, (width, height), was_wide, tuple(notes))


def _known() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _shrink_early(picture: ImageFile.ImageFile, largest: int | None) -> None:
    if largest is not None and picture.format in _JPEG:
        picture.draft(None, (largest, largest))  # any mode; never smaller than asked


def _without_its_end(data: bytes, largest: int | None) -> Image.Image:
    """Decode a JPEG whose end is missing, if all its pixels are there: then it does not matter what follows.

    Raises:
        OSError: Its pixels depend on what is missing.
    """
    whole = []
    for filling in (b"\x00", b"\x55"):
        with Image.open(BytesIO(data.rstrip(b"\xff") + 64 * filling + _END_OF_JPEG), formats=_JPEG) as picture:
            _shrink_early(picture, largest)
            picture.load()
            whole.append(picture)
    first, second = whole
    if first.tobytes() != second.tobytes():
        raise OSError("it is cut short")
    return first
