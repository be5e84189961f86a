"""Wavefront .obj: vertex colours behind the positions as most programs read them, or a .mtl and a .png beside it."""

import io
import re

import numpy as np
import trimesh
from trimesh.exchange.obj import export_obj

from gen3d_tools.geometry.color.vertex_colors import texture_of
from gen3d_tools.media.images import encode_pixels

# White times the texture, no gloss (`illum 1` leaves highlights out).
_MATERIAL = "newmtl texture\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\nmap_Kd {picture}\n"


def sibling_names(stem: str) -> tuple[str, str]:
    """Name the material and the picture beside an .obj; blanks end a name in these files, so there are none."""
    plain = re.sub(r"\s+", "_", stem)
    return f"{plain}.mtl", f"{plain}-texture.png"


def encode_obj(mesh: trimesh.Trimesh, stem: str, name: str) -> list[tuple[str, bytes]]:
    """Write a mesh with normals, and its texture's files if it has one.

    Args:
        mesh: What to write.
        stem: Name of the .obj without the suffix; the other files are named after it.
        name: Of the object; blanks in it become underscores.

    Returns:
        Names and contents, the .obj first.
    """
    texture = texture_of(mesh)
    file, object_line = f"{stem}.obj", "o " + re.sub(r"\s+", "_", name)
    if texture is None:
        text: str = export_obj(mesh, include_normals=True, header=None)  # type: ignore[no-untyped-call]
        return [(file, f"{object_line}\n{text}".encode())]
    material_name, picture_name = sibling_names(stem)
    lines = [f"mtllib {material_name}", object_line, "usemtl texture"]
    lines += [f"v {x:.8g} {y:.8g} {z:.8g}" for x, y, z in np.asarray(mesh.vertices).tolist()]
    lines += [f"vt {u:.7g} {v:.7g}" for u, v in texture.uv.tolist()]
    lines += [f"vn {x:.5g} {y:.5g} {z:.5g}" for x, y, z in np.asarray(mesh.vertex_normals).tolist()]
    lines += [f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}" for a, b, c in (np.asarray(mesh.faces) + 1).tolist()]
    files = {file: "\n".join([*lines, ""]), material_name: _MATERIAL.format(picture=picture_name)}
    return [(name, text.encode()) for name, text in files.items()] + [(picture_name, encode_png(texture.picture))]


def encode_png(picture: np.ndarray) -> bytes:
    """Compress a picture, [height, width, 3] sRGB bytes."""
    buffer = io.BytesIO()
    encode_pixels(buffer, picture)
    return buffer.getvalue()
