"""glTF 2.0, binary (.glb) and as one text file (.gltf): trimesh's writer, and what the standard asks for beyond it.

COLOR_0 is linear by definition, so vertex colours are stored linear with 16 bits: viewers that follow the standard
show the colours of the pictures, and no shade is lost. Textures are sRGB.
"""

import base64
import json
import struct
from typing import Any

import numpy as np
import trimesh
from trimesh.exchange.gltf import export_glb

from gen3d_tools.geometry.color.vertex_colors import srgb_to_linear

# Without one, viewers take their default: polished metal.
MATERIAL = {
    "name": "vertex colours",
    "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 0.9},
}
# Linear filters, smaller copies from afar, and no repetition: charts at the border are not neighbours.
SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}

_UNSIGNED_SHORT = 5123
_VERTICES, _INDICES = 34962, 34963  # what a part of the buffer is for


def encode_glb(mesh: trimesh.Trimesh, name: str) -> bytes:
    """Write a mesh called `name` with normals and its vertex colours or texture as one binary file."""
    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name=name, geom_name=name)
    data: bytes = export_glb(  # type: ignore[no-untyped-call]
        scene, include_normals=True, buffer_postprocessor=_as_the_standard_wants, tree_postprocessor=_name_targets
    )
    return data


def encode_gltf(mesh: trimesh.Trimesh, name: str) -> bytes:
    """Write the same as text, the binary part in base64, so that it is one file too."""
    glb = encode_glb(mesh, name)
    (json_bytes,) = struct.unpack_from("<I", glb, 12)
    tree = json.loads(glb[20 : 20 + json_bytes])
    (buffer_bytes,) = struct.unpack_from("<I", glb, 20 + json_bytes)
    start = 28 + json_bytes
    encoded = base64.b64encode(glb[start : start + buffer_bytes]).decode()
    tree["buffers"][0]["uri"] = f"data:application/octet-stream;base64,{encoded}"
    return json.dumps(tree, separators=(",", ":")).encode()


def _as_the_standard_wants(buffers: Any, tree: dict[str, Any]) -> None:
    """Make vertex colours linear and indices small; name the material and how a texture is filtered.

    Args:
        buffers: trimesh's ordered mapping of binary parts, changed in place.
        tree: The glTF document, changed in place; an accessor's `bufferView` is an index into `buffers`.
    """
    tree["asset"]["generator"] = "gen3d_tools"
    accessors, keys = list(tree["accessors"].values()), list(buffers)
    for primitive in (part for mesh in tree["meshes"] for part in mesh["primitives"]):
        if "material" not in primitive:
            primitive["material"] = len(tree["materials"])
            tree["materials"].append(MATERIAL)
        attributes = primitive["attributes"]
        if "COLOR_0" in attributes:
            _make_linear(accessors[attributes["COLOR_0"]], buffers, keys)
        _make_small(accessors[primitive["indices"]], accessors[attributes["POSITION"]]["count"], buffers, keys)
    if tree.get("textures"):
        tree["samplers"] = [SAMPLER]
        for texture in tree["textures"]:
            texture["sampler"] = 0


def _name_targets(tree: dict[str, Any]) -> None:
    """Say which parts of the buffer are vertices and which are indices, in place."""
    for primitive in (part for mesh in tree["meshes"] for part in mesh["primitives"]):
        for accessor in primitive["attributes"].values():
            tree["bufferViews"][tree["accessors"][accessor]["bufferView"]]["target"] = _VERTICES
        tree["bufferViews"][tree["accessors"][primitive["indices"]]["bufferView"]]["target"] = _INDICES


def _make_linear(accessor: dict[str, Any], buffers: Any, keys: list[Any]) -> None:
    """Turn 8-bit sRGB into 16-bit light."""
    key = keys[accessor["bufferView"]]
    srgb = np.frombuffer(buffers[key], np.uint8)[: 4 * accessor["count"]].reshape(-1, 4)
    buffers[key] = srgb_to_linear(srgb).astype("<u2").tobytes()
    accessor |= {"componentType": _UNSIGNED_SHORT, "normalized": True}
    for bound in ("min", "max"):
        accessor.pop(bound, None)


def _make_small(accessor: dict[str, Any], vertices: int, buffers: Any, keys: list[Any]) -> None:
    """Store indices with 16 bits where they fit; the largest 16-bit number is reserved."""
    if vertices >= 1 << 16:
        return
    key = keys[accessor["bufferView"]]
    indices = np.frombuffer(buffers[key], "<u4")[: accessor["count"]].astype("<u2").tobytes()
    buffers[key] = indices + b"\0" * (-len(indices) % 4)
    accessor["componentType"] = _UNSIGNED_SHORT
