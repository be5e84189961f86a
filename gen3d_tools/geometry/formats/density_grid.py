"""Density grids: a field's density on a regular lattice, as .npz or .mrc, and back to a field that can be meshed.

* .npz: `density` [x, y, z] float32 on lattice points from one face of the box to the other, `box_side` (world units)
  and `iso_level`.
* .mrc (MRC2014, for ChimeraX and its kin; needs mrcfile): the same numbers, x fastest; the cell and the origin are in
  world units where the format says ångström. A label holds the level.

Grids of other programs are read too: cubic ones, whose negative values count as empty.
"""

import bz2
import gzip
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError, NotFoundError, OutOfMemoryError
from gen3d_tools.fields.field import FunctionField, RadianceField
from gen3d_tools.files import atomic_path
from gen3d_tools.geometry.extraction.isosurface import check_iso_level
from gen3d_tools.geometry.extraction.lattice import (
    MAX_RESOLUTION,
    MIN_RESOLUTION,
    Progress,
    check_memory,
    check_resolution,
    sample_lattice,
)
from gen3d_tools.printable import listed, printable

DENSITY_SUFFIXES = (".npz", ".mrc")

_EMPTIEST = -87.0  # softplus of it is the smallest density that float32 holds with all its digits
_WORKING_BYTES = 16  # per number while it is made a field: the grid in float32 four times
_MRC_HEADER, _EXTENDED_SIZE = 1024, 92  # bytes; where the number of further ones stands
_MRC_NUMBERS = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}  # bytes of a number, by mode
_MOST_EXTENDED = 16 * 2**20
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}  # as mrcfile writes them, under any suffix
_LABEL = "gen3d_tools density, iso_level {level:.9g}"


def check_density_suffix(path: str | Path) -> None:
    """Say before any work is done whether a density grid can be kept in such a file.

    Raises:
        InputError: The suffix is unknown.
        MissingDependencyError: The format needs a package that is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in DENSITY_SUFFIXES:
        found = f"suffix {path.suffix!r}" if suffix else "no suffix"
        raise InputError(f"{path.name} has {found}, density grids are kept as {' or '.join(DENSITY_SUFFIXES)}")
    if suffix == ".mrc":
        _mrcfile()


def write_density(
    path: str | Path,
    field: RadianceField,
    *,
    resolution: int = 256,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the density of a field, after activation, per world unit.

    Args:
        path: Output file: .npz or .mrc.
        field: Whose density.
        resolution: Lattice points along each side of the field's box, 8 to 1024.
        overwrite: Whether an existing file may be replaced.
        progress: Called with the lattice points done and the lattice points in all.

    Raises:
        InputError: The suffix or the resolution is out of its range, or the file exists.
        MissingDependencyError: .mrc needs mrcfile.
        OutOfMemoryError: The lattice does not fit.
        Gen3DError: The field is not finite, the disk is full or the place is not writable.
    """
    path = Path(path)
    check_density_suffix(path)
    check_resolution(resolution)
    density = sample_lattice(
        field.density, resolution=resolution, box_side=field.box_side, device=field.device, progress=progress
    )
    with atomic_path(path, overwrite=overwrite) as temporary:
        if path.suffix.lower() == ".npz":
            temporary.write_bytes(_npz(density, field))
        else:
            _write_mrc(temporary, density, field)


def _npz(density: Float[np.ndarray, "n n n"], field: RadianceField) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, density=density, box_side=np.float64(field.box_side), iso_level=np.float64(field.iso_level))
    return buffer.getvalue()


def _write_mrc(path: Path, density: Float[np.ndarray, "n n n"], field: RadianceField) -> None:
    voxel = field.box_side / (len(density) - 1)
    with _mrcfile().new(path) as file:
        file.set_data(np.ascontiguousarray(density.transpose(2, 1, 0)))
        file.voxel_size = voxel
        file.header.origin = (-field.box_side / 2,) * 3
        file.header.label = b""  # mrcfile's own holds the time
        file.header.label[0] = _LABEL.format(level=field.iso_level).encode()
        file.header.nlabl = 1


def read_density(path: str | Path, *, iso_level: float | None = None) -> FunctionField:
    """Read a density grid as a field: interpolated between the lattice points, grey, empty outside its box.

    Args:
        path: What `write_density` wrote, or a cubic grid of another program.
        iso_level: Density at the surface; by default what the file says, or else half the largest density.

    Returns:
        A field around the origin whose `extract_mesh` is that of the grid.

    Raises:
        NotFoundError: There is no such file.
        MissingDependencyError: .mrc needs mrcfile.
        InputError: The suffix is unknown, the file holds no cubic grid of finite numbers, or the level is not above 0.
        OutOfMemoryError: The grid does not fit.
    """
    path = Path(path)
    check_density_suffix(path)
    if not path.is_file():
        raise NotFoundError(f"{path} is not there; check the name")
    try:
        density, box_side, level = _read_npz(path) if path.suffix.lower() == ".npz" else _read_mrc(path)
    except Gen3DError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{path} needs more memory than there is") from error
    except Exception as error:  # of numpy, zipfile and mrcfile, which raise whatever the bytes make of them
        why = printable(str(error) or type(error).__name__, 160)
        raise InputError(f"{path} holds no density grid ({why}); write it again with write_density") from error
    if density.dtype.kind not in "fiu":
        raise InputError(f"{path} holds numbers of type {density.dtype}, densities are real numbers; write it again")
    if not np.isfinite(density).all() or not 0 < box_side < float("inf"):
        raise InputError(f"{path} holds numbers that are not finite, or a box without a size; write it again")
    level = next((one for one in (iso_level, level) if one is not None), float(density.max()) / 2)
    check_iso_level(level)
    return _grid_field(torch.from_numpy(np.ascontiguousarray(density, np.float32)), box_side, level)


def _check_header(shape: Sequence[int], number: int) -> None:
    """Refuse a grid by what its header claims, before anything is allocated.

    Args:
        shape: Numbers along each axis.
        number: Bytes of each.

    Raises:
        ValueError: It is no cube of a size that can be meshed.
        OutOfMemoryError: It does not fit.
    """
    if len(shape) != 3 or len(set(shape)) > 1 or not MIN_RESOLUTION <= shape[0] <= MAX_RESOLUTION:
        found = " x ".join(map(str, shape))
        raise ValueError(f"{found} numbers, it must be a cube with {MIN_RESOLUTION} to {MAX_RESOLUTION} a side")
    check_memory(shape[0], (number + _WORKING_BYTES) * shape[0] ** 3, exponent=3)


def _npy(archive: ZipFile, name: str) -> np.ndarray:
    """Read one array of an .npz: the numbers that its header announces, and no more.

    Not `numpy.load`: of two members of one name, or of names with and without ".npy", it may take the other one.
    """
    member = f"{name}.npy"
    if archive.namelist().count(member) != 1:
        raise ValueError(f"{archive.namelist().count(member)} arrays called {name}, there must be one")
    with archive.open(member) as file:
        known = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}
        shape, by_columns, kind = known[read_magic(file)](file)
        if kind.kind not in "fiu":
            raise ValueError(f"{name} holds numbers of type {printable(str(kind))}, they must be real")
        if name == "density":
            _check_header(shape, kind.itemsize)
        elif shape not in ((), (1,)):
            raise ValueError(f"{name} must be one number, it has the shape {listed(shape)}")
        data = file.read(math.prod(shape) * kind.itemsize)
    return np.frombuffer(bytearray(data), kind).reshape(shape, order="F" if by_columns else "C")


def _read_npz(path: Path) -> tuple[np.ndarray, float, float | None]:
    with ZipFile(path) as archive:
        density, box_side, level = (_npy(archive, name) for name in ("density", "box_side", "iso_level"))
    return density, float(box_side.item()), float(level.item())


def _read_mrc(path: Path) -> tuple[np.ndarray, float, float | None]:
    with np.errstate(all="ignore"), _mrc(path) as file:  # the cell of a header may be any number
        density = file.data.transpose(2, 1, 0).astype(np.float32)
        voxel, text = float(file.voxel_size.x), b" ".join(file.header.label).decode("ascii", "replace")
    # Files without a cell count voxels.
    box_side = (voxel if voxel > 0 else 1.0) * (len(density) - 1)
    level = re.search(r"gen3d_tools density, iso_level (\S+)", text)
    return density, box_side, float(level.group(1)) if level else None


def _mrc(path: Path) -> Any:
    """Open an .mrc, compressed or not, after as many bytes of it were read as its header announces, and no more.

    Raises:
        ValueError: It is no .mrc, or its header announces what cannot be meshed.
        OutOfMemoryError: It does not fit.
    """
    interpreter = _mrcfile().mrcinterpreter.MrcInterpreter
    with path.open("rb") as file:
        unpack = _COMPRESSED.get(file.read(2), open)
    with unpack(path, "rb") as stream:
        start = stream.read(_MRC_HEADER)
        # The header alone: as if nothing followed it, not even an extended header.
        bare = start[:_EXTENDED_SIZE] + bytes(4) + start[_EXTENDED_SIZE + 4 :]
        with interpreter(io.BytesIO(bare), header_only=True) as file:
            order: Literal["little", "big"] = "big" if file.header.dtype["nx"].str[0] == ">" else "little"
            sides, mode = [int(file.header[side]) for side in ("nx", "ny", "nz")], int(file.header.mode)
        extended = int.from_bytes(start[_EXTENDED_SIZE : _EXTENDED_SIZE + 4], order, signed=True)
        if mode not in _MRC_NUMBERS or not 0 <= extended <= _MOST_EXTENDED:
            raise ValueError(f"mode {mode} and {extended} more bytes of header; numbers must be real ones")
        _check_header(sides, _MRC_NUMBERS[mode])
        rest = stream.read(extended + _MRC_NUMBERS[mode] * math.prod(sides))
    return interpreter(io.BytesIO(start + rest))


def _grid_field(density: Float[Tensor, "n n n"], box_side: float, iso_level: float) -> FunctionField:
    """Interpolate the raw density, which is about linear where the density explodes."""
    positive = density.clamp_min(1e-38)
    raw = (positive + torch.log(-torch.expm1(-positive))).clamp_min(_EMPTIEST)  # inverse of softplus
    volume = raw.permute(2, 1, 0)[None, None].contiguous()

    def raw_density(points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        grid = (points * (2 / box_side)).reshape(1, 1, 1, -1, 3).to(volume.dtype)
        values = F.grid_sample(volume.to(points.device), grid, padding_mode="border", align_corners=True)
        return values.reshape(points.shape[:-1])

    return FunctionField(
        raw_density_fn=raw_density,
        box_side=box_side,
        bounded=True,
        iso_level=iso_level,
        density_activation="softplus",
    )


def _mrcfile() -> Any:
    """Import mrcfile.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import mrcfile
    except ImportError as error:
        raise MissingDependencyError(".mrc files need mrcfile; install it with pip install mrcfile") from error
    return mrcfile
