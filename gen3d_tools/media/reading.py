"""Videos read back frame by frame, with imageio: what `VideoWriter` wrote, and .mp4, .webm, .gif of others.

A file is opened only as what its suffix says and its first bytes confirm, and only itself: a playlist that is called
.mp4 would have ffmpeg open the files and addresses that it names.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError, NotFoundError
from gen3d_tools.media.images import from_uint8, read_image
from gen3d_tools.media.opening import MAX_PIXELS
from gen3d_tools.media.video import find_ffmpeg
from gen3d_tools.printable import printable

# ffmpeg's name of each format; where in a file its mark stands, and the mark.
_FORMATS = {".mp4": ("mov", 4, b"ftyp"), ".webm": ("matroska", 0, b"\x1aE\xdf\xa3"), ".gif": ("gif", 0, b"GIF8")}
_CLOCK = 0.01  # seconds to which ffmpeg says how long a video lasts


def read_video(path: str | Path) -> Iterator[Float[Tensor, "3 h w"]]:
    """Read the frames of a video one after the other: memory does not grow with their number.

    Args:
        path: An .mp4, a .webm, a .gif, or a folder of .png files that `VideoWriter` wrote.

    Yields:
        Every frame that is stored, once and in order, values in [0, 1].

    Raises:
        NotFoundError: There is no such file or folder.
        InputError: It is no video, broken, cut short, or too large to open safely.
        MissingDependencyError: There is no ffmpeg.
    """
    path = Path(path)
    if path.is_dir():
        yield from _pictures(path)
        return
    if not path.is_file():
        raise NotFoundError(f"no video at {path}; check the path")
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(f"cannot read {path}: unknown video suffix '{path.suffix}'; give one of {', '.join(_FORMATS)}")
    _, start, mark = _FORMATS[suffix]
    with path.open("rb") as file:
        if not file.read(start + len(mark)).endswith(mark):
            raise InputError(f"{path} is not a {suffix} video; give the file that the video was written to")
    try:
        for pixels in _gif(path) if suffix == ".gif" else _film(path):
            yield from_uint8(pixels)
    except Gen3DError:
        raise
    except Exception as error:  # of ffmpeg and Pillow about a file, which may be anything
        why = printable(str(error).split("\n", 1)[0] or type(error).__name__, 120)
        raise InputError(f"{path} is a broken video ({why}); write it anew, or give another") from error


def _pictures(folder: Path) -> Iterator[Float[Tensor, "3 h w"]]:
    numbered = sorted(file for file in folder.glob("*.png") if file.stem.isdecimal())
    if not numbered:
        raise InputError(f"no numbered .png files in {folder}; give a folder that holds 00000.png, 00001.png, ...")
    for file in numbered:
        yield read_image(file)


def _gif(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    with path.open("rb") as file:
        head = file.read(10)
        _check_size(path, int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little"))
        file.seek(0)
        yield from iio.imiter(file, plugin="pillow", extension=".gif", mode="RGB")


def _film(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    find_ffmpeg()  # says how to get one
    options: dict[str, Any] = {
        "input_params": ["-f", _FORMATS[path.suffix.lower()][0], "-protocol_whitelist", "file"],
        "output_params": ["-fps_mode", "passthrough"],  # else frames are doubled or dropped to keep a steady rate
    }
    place = path.absolute()  # "take:1.mp4" alone is a protocol, and "imageio:a.mp4" a download
    count = 0
    opener: Any = iio.imopen  # whose types leave this plugin out
    with opener(place, "r", plugin="FFMPEG") as opened, closing(opened.legacy_get_reader(**options)) as reader:
        about = reader.get_meta_data()
        _check_size(path, *about["size"])
        for pixels in reader:
            count += 1
            yield pixels
    expected = about["duration"] * about["fps"]
    if "audio_codec" not in about and count < expected - 1 - _CLOCK * about["fps"]:  # sound may last longer
        raise InputError(f"{path} is cut short: it ends after {count} of {expected:.0f} frames; write it anew")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path} has {width} x {height} pixels, more than a camera makes; shrink it first")
