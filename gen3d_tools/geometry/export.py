"""Mesh files: .glb .gltf .ply .obj .stl .off, written whole or not at all, the same bytes every time.

Colours are 8-bit sRGB in memory, in .ply and in .obj. glTF (.glb, .gltf) defines COLOR_0 as linear, so there they
are stored linear with 16 bits: viewers that follow the standard show the colours of the pictures, and no shade is
lost. `read_mesh` gives the bytes back. .stl and .off files as written here hold no colours.
"""

import base64
import json
import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, UInt8, UInt16
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.obj import export_obj
from trimesh.exchange.off import export_off
from trimesh.exchange.ply import export_ply
from trimesh.exchange.stl import export_stl

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path

logger = logging.getLogger(__name__)

# x, y, z -> x, -z, y: a quarter turn about x, so that a front facing +z then faces -y, as in Blender
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

# Without one, glTF viewers take their default: polished metal.
MATERIAL = {
    "name": "vertex colours",
    "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 0.9},
}


def write_mesh(path: str | Path, mesh: trimesh.Trimesh, *, up: str = "y", overwrite: bool = False) -> None:
    """Write a mesh in the format its suffix names, with vertex colours and normals where the format has them.

    Args:
        path: Output file.
        mesh: The mesh, y up.
        up: The file's upward axis, "y" or "z"; the latter turns the mesh for programs that expect it so.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: The suffix or the axis is unknown, or the file exists.
        Gen3DError: The disk is full or the place is not writable.
    """
    path = Path(path)
    encode = _encoder(path)
    check_up(up)
    turned = mesh.copy()
    turned.metadata.clear()  # it would end up in .glb files
    if up == "z":
        turned.apply_transform(Y_UP_TO_Z_UP)
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(encode(turned))


def read_mesh(path: str | Path) -> trimesh.Trimesh:
    """Read a mesh that `write_mesh` wrote: vertices and faces in their order, colours as 8-bit sRGB.

    Raises:
        NotFoundError: There is no such file.
        InputError: The suffix is unknown, or the file does not hold one triangle mesh.
    """
    path = Path(path)
    check_mesh_suffix(path)
    if not path.is_file():
        raise NotFoundError(f"{path} is not there; check the name")
    try:
        loaded = trimesh.load_scene(path, process=False, maintain_order=True)
        mesh: trimesh.Trimesh
        (mesh,) = loaded.geometry.values()
    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error) as error:
        raise InputError(f"{path} does not hold one triangle mesh ({error}); write it again with write_mesh") from error
    linear = getattr(mesh.visual, "vertex_attributes", {}).get("color")  # where trimesh keeps COLOR_0
    if linear is None:
        return mesh
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=linear_to_srgb(linear), process=False)


def check_mesh_suffix(path: str | Path) -> None:
    """Say before any work is done whether `write_mesh` knows the format.

    Raises:
        InputError: It does not.
    """
    _encoder(Path(path))


def check_up(up: str) -> None:
    """Say before any work is done whether `write_mesh` knows the upward axis.

    Raises:
        InputError: It is neither "y" nor "z".
    """
    if up not in ("y", "z"):
        raise InputError(f"up is {up!r}, it must be y or z")


def _encoder(path: Path) -> Callable[[trimesh.Trimesh], bytes]:
    suffix = path.suffix.lower()
    if suffix not in _ENCODERS:
        found = f"suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise InputError(f"{path.name} has {found}, meshes are written as one of {', '.join(_ENCODERS)}")
    return _ENCODERS[suffix]


def _glb(mesh: trimesh.Trimesh) -> bytes:
    data: bytes = export_glb(  # type: ignore[no-untyped-call]
        mesh, include_normals=True, buffer_postprocessor=_as_gltf_wants
    )
    return data


def _gltf(mesh: trimesh.Trimesh) -> bytes:
    """Write the same as .glb as text, the binary part in base64, so that it is one file too."""
    glb = _glb(mesh)
    (json_bytes,) = struct.unpack_from("<I", glb, 12)
    tree = json.loads(glb[20 : 20 + json_bytes])
    (buffer_bytes,) = struct.unpack_from("<I", glb, 20 + json_bytes)
    start = 28 + json_bytes
    encoded = base64.b64encode(glb[start : start + buffer_bytes]).decode()
    tree["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{encoded}"
    return json.dumps(tree, separators=(",", ":")).encode()


def _ply(mesh: trimesh.Trimesh) -> bytes:
    data: bytes = export_ply(mesh, vertex_normal=True)
    return data


def _obj(mesh: trimesh.Trimesh) -> bytes:
    text: str = export_obj(mesh, include_normals=True, header=None)  # type: ignore[no-untyped-call]
    return text.encode()


def _stl(mesh: trimesh.Trimesh) -> bytes:
    _say_colours_are_lost(mesh, ".stl")
    data: bytes = export_stl(mesh)
    return data


def _off(mesh: trimesh.Trimesh) -> bytes:
    _say_colours_are_lost(mesh, ".off")
    return export_off(mesh).encode()


_ENCODERS: dict[str, Callable[[trimesh.Trimesh], bytes]] = {
    ".glb": _glb,
    ".gltf": _gltf,
    ".ply": _ply,
    ".obj": _obj,
    ".stl": _stl,
    ".off": _off,
}


def _say_colours_are_lost(mesh: trimesh.Trimesh, suffix: str) -> None:
    if mesh.visual is not None and mesh.visual.defined:
        logger.info("%s files hold no colours; write .glb, .ply or .obj to keep them.", suffix)


def _as_gltf_wants(buffers: Any, tree: dict[str, Any]) -> None:
    """Make the vertex colours linear and give the mesh a matt material.

    Args:
        buffers: trimesh's ordered mapping of binary parts, changed in place.
        tree: The glTF document, changed in place; an accessor's `bufferView` is an index into `buffers`.
    """
    accessors, keys = list(tree["accessors"].values()), list(buffers)
    for primitive in (part for mesh in tree["meshes"] for part in mesh["primitives"]):
        if "material" not in primitive:
            primitive["material"] = len(tree["materials"])
            tree["materials"].append(MATERIAL)
        if "COLOR_0" in primitive["attributes"]:
            accessor = accessors[primitive["attributes"]["COLOR_0"]]
            key = keys[accessor["bufferView"]]
            srgb = np.frombuffer(buffers[key], np.uint8)[: 4 * accessor["count"]].reshape(-1, 4)
            buffers[key] = srgb_to_linear(srgb).astype("<u2").tobytes()
            accessor |= {"componentType": 5123, "normalized": True}  # unsigned short
            for bound in ("min", "max"):
                accessor.pop(bound, None)


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
