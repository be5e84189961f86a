"""Pictures: tensors to image files and back, depth and normals as colours.

Every image is a float tensor `[3, h, w]` with values in [0, 1], sRGB as displayed. imageio writes them (Pillow does the
work, so the bytes are Pillow's own). A file to be read may be a stranger's, and imageio would try all of Pillow's
formats on it, programs that draw among them: those are read as `opening` says.
"""

import math
from io import BufferedWriter, BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8, UInt16
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path, check_writable
from gen3d_tools.media.opening import decode_picture, reading_picture
from gen3d_tools.ownership import MARK

_MADE_BY = PngInfo()
_MADE_BY.add_text("Software", MARK)
# How to save well in each format. JPEG without chroma subsampling keeps thin coloured edges.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"pnginfo": _MADE_BY},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 92},
}


def to_uint8(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Round an image to 8 bits, rows first as Pillow and ffmpeg expect; values outside [0, 1] are clipped."""
    pixels = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rearrange(pixels.cpu().numpy(), "c h w -> h w c"))


def from_uint8(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    """The inverse of `to_uint8`."""
    return torch.from_numpy(rearrange(pixels, "h w c -> c h w").astype(np.float32) / 255)


def check_image_path(path: str | Path, *, overwrite: bool = False) -> None:
    """Say before any work is done whether `write_image` will accept `path`.

    Raises:
        InputError: The suffix is unknown, or the file exists and `overwrite` is off.
        Gen3DError: The folder does not accept files.
    """
    path = Path(path)
    _suffix_of(path)
    check_writable(path, overwrite=overwrite, kind="file")


def _suffix_of(path: Path) -> str:
    """Find in which format a file is to be saved."""
    if path.suffix.lower() not in _OPTIONS:
        known = ", ".join(_OPTIONS)
        raise InputError(f"cannot write {path}: unknown image suffix '{path.suffix}'; choose one of {known}")
    return path.suffix.lower()


def write_image(path: str | Path, image: Float[Tensor, "3 h w"], *, overwrite: bool = False) -> None:
    """Write an image whole or not at all; the suffix chooses the format.

    Args:
        path: Ends in .png (exact), .jpg, .jpeg or .webp.
        image: Values in [0, 1].
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: The suffix is unknown, or the file exists and `overwrite` is off.
    """
    path = Path(path)
    suffix = _suffix_of(path)
    with atomic_path(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        encode_pixels(file, to_uint8(image), suffix)


def encode_pixels(
    file: BytesIO | BufferedWriter,
    pixels: UInt8[np.ndarray, "h w *channels"] | UInt16[np.ndarray, "h w"],
    suffix: str = ".png",
) -> None:
    """Write pixels in the format of a suffix; 16 bits fit into .png.

    The file is open already: imageio reads more than a place into some names, such as those below `renders.zip/`.
    """
    iio.imwrite(file, pixels, plugin="pillow", extension=suffix, **_OPTIONS[suffix])


def read_image(path: str | Path) -> Float[Tensor, "3 h w"]:
    """Read a picture upright (EXIF orientation applied), its transparency laid on white; formats as in `opening`.

    Raises:
        NotFoundError: There is no such file.
        InputError: The file is not a picture, is cut short, or is too large to open safely.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"no image at {path}; check the path")
    decoded = decode_picture(path)
    with reading_picture(path):
        picture = ImageOps.exif_transpose(decoded.image)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return from_uint8(np.asarray(picture.convert("RGB")))


def depth_picture(
    depth: Float[Tensor, "1 h w"],
    opacity: Float[Tensor, "1 h w"],
    near: float | None = None,
    far: float | None = None,
) -> Float[Tensor, "3 h w"]:
    """Show depth in colours: near is bright, far is dark, empty is white.

    Args:
        depth: Depth along the camera's z, world units.
        opacity: How much of each pixel the object covers, in [0, 1].
        near: Depth that gets the brightest colour; the nearest surface of this picture if None.
            Give `near` and `far` for the frames of a video, else the colours drift.
        far: Depth that gets the darkest colour; the farthest surface of this picture if None.
    """
    surface = depth[opacity > 0.5]
    if near is None:
        near = float(surface.min()) if surface.numel() else 0.0
    if far is None:
        far = float(surface.max()) if surface.numel() else 1.0
    closeness = 1 - ((depth - near) / max(far - near, 1e-6)).clamp(0, 1)
    return _on_white(_cubehelix(0.12 + 0.7 * closeness[0]), opacity)


def normal_picture(normals: Float[Tensor, "3 h w"], opacity: Float[Tensor, "1 h w"]) -> Float[Tensor, "3 h w"]:
    """Show unit normals as colours: x, y, z in [-1, 1] become red, green, blue in [0, 1]; empty is white."""
    return _on_white((normals + 1) / 2, opacity)


def _on_white(colours: Float[Tensor, "3 h w"], opacity: Float[Tensor, "1 h w"]) -> Float[Tensor, "3 h w"]:
    """Blend with white; `where` keeps the undefined depth or normal of an empty pixel out of the picture."""
    cover = opacity.clamp(0, 1)
    return torch.where(cover > 0, colours.clamp(0, 1) * cover + (1 - cover), 1.0)


def _cubehelix(brightness: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """A colour map whose perceived brightness is exactly its argument (Green 2011, "cubehelix", eq. 2).

    From dark to bright it winds half a turn around the grey axis: dark violet, blue, green.
    """
    start, turns, saturation = 0.4, -0.55, 1.1
    angle = 2 * math.pi * (start / 3 + turns * brightness)
    amplitude = saturation * brightness * (1 - brightness) / 2
    cosine, sine = torch.cos(angle), torch.sin(angle)
    red = -0.14861 * cosine + 1.78277 * sine
    green = -0.29227 * cosine - 0.90649 * sine
    blue = 1.97294 * cosine
    return (brightness + amplitude * torch.stack([red, green, blue])).clamp(0, 1)
