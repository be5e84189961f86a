"""Mesh files: .glb .gltf .ply .obj .stl .off .3mf .usdz, written whole or not at all, the same bytes every time.

| suffix | colours at vertices | texture | normals |
| --- | --- | --- | --- |
| .glb .gltf | linear, 16 bit | inside | yes |
| .obj | sRGB | .mtl and .png beside it | yes |
| .usdz | linear | inside | yes |
| .ply | sRGB, 8 bit | becomes colours at vertices | yes |
| .3mf | sRGB, 8 bit | becomes colours at vertices | - |
| .stl .off | - | - | - |
"""

import logging
import struct
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import trimesh
from trimesh.exchange.off import export_off
from trimesh.exchange.ply import export_ply
from trimesh.exchange.stl import export_stl

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_files
from gen3d_tools.geometry.color.vertex_colors import colors_of, linear_to_srgb, texture_of
from gen3d_tools.geometry.formats.gltf import encode_glb, encode_gltf
from gen3d_tools.geometry.formats.lengths import parse_length, sides
from gen3d_tools.geometry.formats.placement import Placement
from gen3d_tools.geometry.formats.threemf import encode_3mf
from gen3d_tools.geometry.formats.usdz import encode_usdz
from gen3d_tools.geometry.formats.wavefront import encode_obj, sibling_names
from gen3d_tools.geometry.processing.cleanup import weld
from gen3d_tools.wording import option

logger = logging.getLogger(__name__)

_UNREADABLE = (".3mf", ".usdz")
TEXTURE_SUFFIXES = (".glb", ".gltf", ".obj", ".usdz")
_DUST_MM = 2.0  # models' boxes have a side of 1 to 2 world units
_WITHOUT_COLORS = (".stl", ".off")


def write_mesh(
    path: str | Path,
    mesh: trimesh.Trimesh,
    *,
    up: str = "y",
    scale: float | str | None = None,
    center: bool = False,
    ground: bool = False,
    unit: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a mesh in the format its suffix names, with the colours and normals that the format has room for.

    Args:
        path: Output file.
        mesh: The mesh, y up, with vertex colours, a texture or neither.
        up: The file's upward axis, "y" or "z"; the latter turns the mesh for programs that expect it so.
        scale: Length of the mesh's longest side: metres, or with a unit, such as "80mm"; by default world units stay.
        center: Put the middle of the mesh's box at the origin.
        ground: Stand the mesh on the plane y = 0 (z = 0 with `up="z"`).
        unit: Of the file's numbers, "mm", "cm", "m", "in" or "ft", where there is a scale and the format leaves it
            open; by default millimetres in .stl and .3mf, for programs that print, and metres elsewhere.
        name: Of the object in the file, where the format has one; by default the file's own.
        overwrite: Whether existing files may be replaced.

    Returns:
        The files that were written, `path` first: a textured .obj has a .mtl and a .png beside it.

    Raises:
        InputError: The suffix or a value is not known, the mesh is empty, or a file exists.
        Gen3DError: The disk is full or the place is not writable.
    """
    path = Path(path)
    check_mesh_suffix(path)
    metres = None if scale is None else parse_length(scale)
    placement = Placement(up=up, scale=metres, center=center, ground=ground, unit=unit)
    placement.check()
    if not len(mesh.faces):
        raise InputError("the mesh has no faces, so there is nothing to write; lower the level")
    paths = mesh_files(path, textured=texture_of(mesh) is not None)
    file_unit = placement.file_unit(path.suffix.lower())
    placed = placement.mesh(mesh, file_unit)
    _warn_of_dust(path, placed, file_unit)
    contents = _encode(placed, path, up, file_unit, name or path.stem)
    with atomic_files(paths, overwrite=overwrite) as temporary:
        for place, content in zip(temporary, contents, strict=True):
            place.write_bytes(content)
    return paths


def _warn_of_dust(path: Path, placed: trimesh.Trimesh, unit: str) -> None:
    """Say that a slicer will show nothing: it reads the numbers of an .stl, which have no unit, as millimetres."""
    size: list[float] = np.ptp(np.asarray(placed.vertices), axis=0).tolist()
    if path.suffix.lower() != ".stl" or max(size) >= _DUST_MM:
        return
    remedy = option("unit", "mm") if unit and unit != "mm" else option("scale", "80mm")
    found = f"{path} is {sides(size)} {unit or 'units'}"
    logger.warning("%s, and slicers read the numbers of an .stl as mm; try %s.", found, remedy)


def mesh_files(path: Path, *, textured: bool) -> list[Path]:
    """Name the files that `write_mesh` will write, the named one first."""
    siblings = sibling_names(path.stem) if textured and path.suffix.lower() == ".obj" else ()
    return [path, *(path.with_name(name) for name in siblings)]


def read_mesh(path: str | Path) -> trimesh.Trimesh:
    """Read a mesh that `write_mesh` wrote: vertices and faces in their order, colours as 8-bit sRGB.

    Raises:
        NotFoundError: There is no such file.
        InputError: The suffix is unknown or can only be written, or the file does not hold one triangle mesh.
    """
    path = Path(path)
    check_mesh_suffix(path)
    if path.suffix.lower() in _UNREADABLE:
        raise InputError(f"{path.name}: {path.suffix.lower()} files can be written, not read; give .glb, .ply or .obj")
    if not path.is_file():
        raise NotFoundError(f"{path} is not there; check the name")
    try:
        loaded = trimesh.load_scene(path, process=False, maintain_order=True)
        mesh: trimesh.Trimesh
        (mesh,) = loaded.geometry.values()
    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error, BadZipFile) as error:
        raise InputError(f"{path} does not hold one triangle mesh ({error}); write it again with write_mesh") from error
    linear = getattr(mesh.visual, "vertex_attributes", {}).get("color")  # where trimesh keeps COLOR_0
    if linear is None:
        return mesh
    colors, normals = linear_to_srgb(linear), np.array(mesh.vertex_normals)
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=normals, vertex_colors=colors, process=False)


def check_mesh_suffix(path: str | Path) -> None:
    """Say before any work is done whether `write_mesh` knows the format.

    Raises:
        InputError: It does not.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return
    found = f"suffix {path.suffix!r}" if suffix else "no suffix"
    alike = get_close_matches(suffix, SUFFIXES, n=1)
    hint = f"; did you mean {alike[0]}?" if alike else ""
    raise InputError(f"{path.name} has {found}, meshes are written as one of {', '.join(SUFFIXES)}{hint}")


def check_up(up: str) -> None:
    """Say before any work is done whether `write_mesh` knows the upward axis.

    Raises:
        InputError: It is neither "y" nor "z".
    """
    Placement(up=up).check()


def _encode(mesh: trimesh.Trimesh, path: Path, up: str, unit: str, name: str) -> list[bytes]:
    """Make the contents of the files that `mesh_files` names.

    Args:
        mesh: Placed.
        path: Of the first file.
        up: Its upward axis.
        unit: Of its numbers.
        name: Of the object.
    """
    suffix = path.suffix.lower()
    if suffix in _WITHOUT_COLORS and colors_of(mesh) is not None:
        logger.info("%s files hold no colours; write .glb, .ply or .obj to keep them.", suffix)
    if suffix not in TEXTURE_SUFFIXES and texture_of(mesh) is not None:
        logger.info("%s files as written here hold no texture: its colours are at the vertices.", suffix)
        mesh = _without_seams(mesh)
    if suffix == ".obj":
        return [content for _, content in encode_obj(mesh, path.stem, name)]
    if suffix == ".usdz":
        return [encode_usdz(mesh, up, name)]
    if suffix == ".3mf":
        return [encode_3mf(mesh, unit, name)]
    if suffix in _NAMED:
        return [_NAMED[suffix](mesh, name)]
    return [_NAMELESS[suffix](mesh)]


def _without_seams(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Take a texture's colours to the vertices, of which each place has one again."""
    faces, _ = weld(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    used, corners = np.unique(faces, return_inverse=True)
    colors = colors_of(mesh)
    return trimesh.Trimesh(
        np.asarray(mesh.vertices)[used],
        corners.reshape(-1, 3),
        vertex_normals=np.asarray(mesh.vertex_normals)[used],
        vertex_colors=None if colors is None else colors[used],
        process=False,
    )


def _ply(mesh: trimesh.Trimesh) -> bytes:
    data: bytes = export_ply(mesh, vertex_normal=True)
    return data


def _stl(mesh: trimesh.Trimesh) -> bytes:
    data: bytes = export_stl(mesh)
    return data


def _off(mesh: trimesh.Trimesh) -> bytes:
    return export_off(mesh).encode()


_NAMED: dict[str, Callable[[trimesh.Trimesh, str], bytes]] = {".glb": encode_glb, ".gltf": encode_gltf}
_NAMELESS: dict[str, Callable[[trimesh.Trimesh], bytes]] = {".ply": _ply, ".stl": _stl, ".off": _off}
SUFFIXES = (".glb", ".gltf", ".ply", ".obj", ".stl", ".off", ".3mf", ".usdz")
"""Everything `write_mesh` writes."""
