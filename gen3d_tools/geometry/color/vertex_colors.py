"""The colours of meshes at their vertices: in light, in sRGB, and looked up in a texture."""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float, UInt8, UInt16
from trimesh.visual import ColorVisuals, TextureVisuals


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture, and where in it each vertex of a mesh lies."""

    picture: UInt8[np.ndarray, "height width 3"]
    """sRGB, from the top."""
    uv: Float[np.ndarray, "vertices 2"]
    """0..1 from the lower left corner, u first."""


def texture_of(mesh: trimesh.Trimesh) -> Texture | None:
    """Give the texture of a mesh, or None where it has none."""
    visual = mesh.visual
    if not isinstance(visual, TextureVisuals) or visual.uv is None:
        return None
    material = visual.material
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    return None if image is None else Texture(np.array(image.convert("RGB")), np.asarray(visual.uv, np.float64))


def colors_of(mesh: trimesh.Trimesh) -> UInt8[np.ndarray, "vertices 4"] | None:
    """Give the colours of the vertices, 8-bit sRGB and alpha, from a texture if need be; None without any."""
    texture = texture_of(mesh)
    if texture is not None:
        return look_up(texture.picture, texture.uv)
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.defined:
        return np.asarray(mesh.visual.vertex_colors, np.uint8)
    return None


def look_up(picture: UInt8[np.ndarray, "height width 3"], uv: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n 4"]:
    """Interpolate a picture as `sample_texture` does, rounded to bytes. Alpha is 255."""
    rgba = np.full((len(uv), 4), 255, np.uint8)
    rgba[:, :3] = (sample_texture(picture, uv) * 255).round()
    return rgba


def sample_texture(
    picture: UInt8[np.ndarray, "height width 3"], uv: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 3"]:
    """Interpolate a picture bilinearly; its borders go on outside, as the files say that we write.

    Args:
        picture: Rows from the top.
        uv: (0, 0) is the lower left corner of the picture, (1, 1) the upper right one.

    Returns:
        Colours, 0..1.
    """
    height, width = picture.shape[:2]
    x = (uv[:, 0] * width - 0.5).clip(0, width - 1)
    y = ((1 - uv[:, 1]) * height - 0.5).clip(0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    colors: np.ndarray = (upper * (1 - down) + lower * down) / 255
    return colors


def _linear_light() -> Float[np.ndarray, "256"]:
    """Light of each 8-bit sRGB value, 0..65535 (IEC 61966-2-1)."""
    encoded = np.arange(256) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    steps: np.ndarray = (light * 65535).round()
    return steps


def srgb_to_linear(rgba: UInt8[np.ndarray, "n 4"]) -> UInt16[np.ndarray, "n 4"]:
    """Turn sRGB bytes into linear light, 0..65535; alpha is linear already."""
    linear: np.ndarray = _linear_light().astype(np.uint16)[rgba]
    linear[:, 3] = rgba[:, 3].astype(np.uint16) * 257
    return linear


def linear_to_srgb(rgba: UInt16[np.ndarray, "n 4"]) -> UInt8[np.ndarray, "n 4"]:
    """Turn linear light back into the nearest sRGB bytes; exact for what `srgb_to_linear` gave."""
    light = _linear_light()
    srgb = np.searchsorted((light[1:] + light[:-1]) / 2, rgba)
    srgb[:, 3] = rgba[:, 3] / 257
    return srgb.astype(np.uint8)
