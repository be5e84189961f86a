"""A mesh in few bytes, as the viewer of a page reads it: quantised arrays in base64, the texture as a picture."""

import base64
import io
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals

from gen3d_tools.errors import InputError

LARGEST_TEXTURE = 1024
"""Pixels along each side; larger ones are made smaller."""

_STEPS = 65535  # positions are 16-bit: finer than a pixel at any zoom of the viewer
_QUALITY = 88  # of the texture's JPEG


def mesh_payload(mesh: trimesh.Trimesh) -> dict[str, Any]:
    """Pack a mesh for a page.

    Args:
        mesh: With vertex colours, face colours, a texture, or none of them; y up, front along +z.

    Returns:
        `positions` (uint16), `normals` (int8, 127 = 1), `faces` (uint32) as base64 of little-endian arrays `[n, 3]`.
        `origin + scale * positions` has the centre of its bounding box at 0 and its farthest vertex at distance 1.
        Then `colors` (uint8, [n, 3]); or `texture`, a data URI, with `uv` (uint16, [n, 2]), 65535 = the far end of
        `uv_range` (first u and v, then their extent). `shading` is there where nothing of it has colours.

    Raises:
        InputError: The mesh has no faces.
    """
    if len(mesh.faces) == 0:
        raise InputError("the mesh for the page has no faces; lower the iso-level or raise the resolution")
    mesh = _with_vertex_colors(mesh)
    vertices = np.asarray(mesh.vertices, np.float64)
    if not np.isfinite(vertices).all():
        raise InputError("the mesh for the page has vertices that are not finite; export it again")
    lowest, extent = vertices.min(axis=0), np.ptp(vertices, axis=0)
    side = float(extent.max()) or 1.0
    radius = float(np.linalg.norm(vertices - lowest - extent / 2, axis=1).max()) or 1.0
    return {
        "origin": [float(value) for value in -extent / 2 / radius],
        "scale": float(side / radius / _STEPS),
        "positions": _base64(np.round((vertices - lowest) / side * _STEPS), "<u2"),
        "normals": _base64(np.round(np.asarray(mesh.vertex_normals) * 127), "i1"),
        "faces": _base64(np.asarray(mesh.faces), "<u4"),
        **_look(mesh),
    }


def has_texture(mesh: trimesh.Trimesh) -> bool:
    """Whether a mesh has a picture, and a place in it for every vertex."""
    return isinstance(mesh.visual, TextureVisuals) and mesh.visual.uv is not None and _picture(mesh.visual) is not None


def _with_vertex_colors(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Cut faces of different colours apart, so that vertices can carry the colours."""
    visual = mesh.visual
    if not isinstance(visual, ColorVisuals) or visual.kind != "face":
        return mesh
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)].reshape(-1, 3)
    return trimesh.Trimesh(
        corners,
        np.arange(len(corners)).reshape(-1, 3),
        vertex_normals=np.asarray(mesh.vertex_normals)[np.asarray(mesh.faces)].reshape(-1, 3),
        vertex_colors=np.repeat(np.asarray(visual.face_colors), 3, axis=0),
        process=False,
    )


def _look(mesh: trimesh.Trimesh) -> dict[str, Any]:
    """Give colours, or a texture, or neither."""
    visual = mesh.visual
    if has_texture(mesh):
        assert isinstance(visual, TextureVisuals)
        return _texture(np.asarray(visual.uv, np.float64), _picture(visual))
    if isinstance(visual, TextureVisuals):
        color = np.asarray(visual.material.main_color)[:3]
        colors = np.broadcast_to(color, (len(mesh.vertices), 3))
        return {"colors": _base64(colors, "u1"), "shading": True}
    if isinstance(visual, ColorVisuals) and visual.kind == "vertex":
        return {"colors": _base64(np.asarray(visual.vertex_colors)[:, :3], "u1")}
    return {"shading": True}


def _picture(visual: TextureVisuals) -> Image.Image | None:
    material = visual.material
    found = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    return found if isinstance(found, Image.Image) else None


def _texture(uv: Float[np.ndarray, "n 2"], picture: Image.Image | None) -> dict[str, Any]:
    assert picture is not None
    small = picture.convert("RGB")
    small.thumbnail((LARGEST_TEXTURE, LARGEST_TEXTURE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    first, extent = uv.min(axis=0), np.ptp(uv, axis=0)
    extent[extent == 0] = 1.0
    return {
        "uv": _base64(np.round((uv - first) / extent * _STEPS), "<u2"),
        "uv_range": [float(value) for value in (*first, *extent)],
        "texture": f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}",
    }


def _base64(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode()
