"""Photos as cameras, phones and drawing programs write them: opened upright, in 8-bit colour, with their transparency.

Whatever is unusual is either put right and said in a note, or refused in one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from gen3d_tools.errors import InputError, MissingDependencyError, NotFoundError
from gen3d_tools.media.images import from_uint8
from gen3d_tools.media.opening import decode_picture, reading_picture
from gen3d_tools.searching import files_below, passed_over

MAX_SIDE = 1536  # pixels kept of the longer side: several times what any generator draws
MIN_SIDE = 8
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif")
"""Of the files in a folder that are taken for photos."""
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}


@dataclass(frozen=True, eq=False)
class OpenedPhoto:
    """A picture file's contents."""

    rgb: Float[Tensor, "3 h w"]
    """Colours in [0, 1]; undefined where alpha is 0."""

    alpha: Float[Tensor, "1 h w"] | None
    """Opacity in [0, 1]; None where the file has none, or is opaque everywhere."""

    notes: tuple[str, ...]
    """What was put right, one line each."""


def listed_photos(places: Sequence[str | Path], *, but: Path | None = None) -> list[Path]:
    """Give files as they are, and of folders, searched to their end, the photos in the order of their names.

    Args:
        places: Files and folders.
        but: A folder that is not searched, such as that of an earlier output.

    Raises:
        NotFoundError: A folder has no photos; hidden files do not count.
        InputError: A folder in it is a link, or cannot be read.
    """
    photos: list[Path] = []
    for place in map(Path, places):
        if not place.is_dir():
            photos.append(place)
            continue
        found = sorted(place / name for name in files_below(place, but=but) if name.lower().endswith(SUFFIXES))
        if not found:
            raise NotFoundError(f"{place} holds no photos ({', '.join(SUFFIXES)}); give files, or a folder of them")
        photos += found
    return photos


def unread_photos(places: Sequence[str | Path], *, but: Path | None = None) -> Iterator[str]:
    """Say of every folder that `listed_photos` would search which of its pictures are passed over, if any."""
    for place in map(Path, places):
        if place.is_dir() and (line := passed_over(files_below(place, but=but), SUFFIXES)):
            yield f"{place}: {line}"


def open_photo(path: str | Path, *, what: str = "photo", max_side: int = MAX_SIDE) -> OpenedPhoto:
    """Read a photo upright (EXIF), as 8-bit sRGB.

    Args:
        path: The file.
        what: What to call it in errors.
        max_side: Pixels kept of the longer side.

    Raises:
        NotFoundError: There is no such file.
        InputError: It is no picture, is cut short, or is too small or too large.
        MissingDependencyError: It is a HEIC file, and pillow-heif is not installed.
    """
    path = Path(path)
    _check_file(path, what)
    decoded = decode_picture(path, max_side)
    notes = list(decoded.notes)
    with reading_picture(path):
        if decoded.was_wide and _is_almost_black(decoded.image):
            raise InputError(f"{path} uses 12 or fewer of its 16 bits per colour; save it with 8 bits")
        picture = _eight_bit(ImageOps.exif_transpose(decoded.image), notes)
    if min(picture.size) < MIN_SIDE:
        raise InputError(
            f"{path} has {picture.width} x {picture.height} pixels; at least {MIN_SIDE} each way are needed"
        )
    if max(decoded.size) > max_side:
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        notes.append(f"{path.name} is large; it was shrunk to {picture.width} x {picture.height} pixels")
    alpha = torch.from_numpy(np.asarray(picture.getchannel("A"), np.float32) / 255)[None]
    rgb = from_uint8(np.asarray(picture.convert("RGB")))
    return OpenedPhoto(rgb, None if bool((alpha > 0.99).all()) else alpha, tuple(notes))


def open_mask(path: str | Path, size: tuple[int, int]) -> tuple[Float[Tensor, "1 h w"], tuple[str, ...]]:
    """Read a mask: white (or opaque) is the object.

    Args:
        path: A picture file. If it has transparency, that is the mask; otherwise its brightness.
        size: Height and width of the photo it belongs to.

    Returns:
        The mask in [0, 1] at the photo's size, and what was put right.

    Raises:
        NotFoundError: There is no such file.
        InputError: It is no picture, or of another shape than the photo.
    """
    opened = open_photo(path, what="mask")
    mask = opened.rgb.mean(dim=0, keepdim=True) if opened.alpha is None else opened.alpha
    notes = [note for note in opened.notes if "large" not in note]
    if 0 < mask.max() < 1.5 / 255:
        mask = mask / mask.max()
        notes.append(f"the mask {Path(path).name} holds 0 and 1 of 255; 1 is the object")
    height, width = mask.shape[-2:]
    if abs(height * size[1] - width * size[0]) > 0.02 * width * size[0]:
        raise InputError(
            f"the mask {path} has {width} x {height} pixels, its photo {size[1]} x {size[0]}; they need one shape"
        )
    if (height, width) != size:
        notes.append(f"the mask {Path(path).name} was scaled from {width} x {height} to {size[1]} x {size[0]} pixels")
        mask = torch.nn.functional.interpolate(mask[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return mask, tuple(notes)


def _check_file(path: Path, what: str) -> None:
    """Refuse what is no file with something in it; learn HEIC if that is what it is."""
    if not path.exists():
        raise NotFoundError(f"no {what} at {path}; check the path")
    if not path.is_file():
        kind = "folder" if path.is_dir() else "device or pipe"
        raise InputError(f"{path} is a {kind}, not a {what}; name one picture file")
    with reading_picture(path), path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise InputError(f"{path} is empty; give a whole picture file")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        try:
            from pillow_heif import register_heif_opener
        except ImportError as error:
            raise MissingDependencyError(
                f"{path} is a HEIC photo; to read it run: pip install pillow-heif, or give a .jpg"
            ) from error
        register_heif_opener()


def _eight_bit(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Convert to RGBA in sRGB, whatever the mode: palette, grey, 16 bits, CMYK."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.nan_to_num(np.asarray(picture, np.float32))
        bits, top = _range(picture.mode, float(values.max(initial=0.0)))
        picture = Image.fromarray((np.clip(values / top, 0, 1) * 255).round().astype(np.uint8))
        notes.append(bits)
    if picture.mode == "CMYK":
        notes.append("printing colours (CMYK) were converted to screen colours")
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "RGBA", "CMYK"):
        picture = _to_srgb(picture, profile)
    return picture.convert("RGBA")


def _range(mode: str, largest: float) -> tuple[str, float]:
    """What was done about a grey picture's many bits, and which value is white.

    Cameras and scanners of 8 to 12 bits put them into the lower ones of 16: their white is not 65535.
    """
    if mode == "F":
        return "numbers with a fraction were reduced to 8 bits per pixel", max(largest, 1.0)
    for bits in (1, 8, 10, 12):
        if 0 < largest < 2**bits:
            return f"16 bits per pixel, of which {bits} are used, were reduced to 8", 2.0**bits - 1
    return "16 bits per pixel were reduced to 8", max(largest, 65535.0) if mode == "I" else 65535.0


def _is_almost_black(picture: Image.Image) -> bool:
    """Whether the upper 8 of 16 bits know next to nothing of the colours: the brightest is below 1/16, but not 0."""
    if picture.mode not in ("RGB", "RGBA", "LA"):
        return False  # grey pictures keep all 16 bits
    brightest = max(int(channel.getextrema()[1]) for channel in picture.convert("RGB").split())  # type: ignore[arg-type]
    return 0 < brightest < 16


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Apply a colour profile (phones write Display P3); one that cannot be read is left out, as viewers do."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"  # transparency is kept
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return converted or picture
