"""Density grids, .npz and .mrc."""

import io
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gen3d_tools.errors import InputError, OutOfMemoryError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.formats.density_grid import read_density, write_density
from tests.fuzz.harness import Files, Format, only


def _written(name: str) -> Files:
    field = FunctionField(
        raw_density_fn=lambda points: 1 - points.square().sum(-1), box_side=2.0, iso_level=0.5, bounded=True
    )
    with tempfile.TemporaryDirectory() as folder:
        write_density(Path(folder) / name, field, resolution=8)
        return {name: (Path(folder) / name).read_bytes()}


def _npz() -> list[Files]:
    """As we write it, deflated, and with other kinds of numbers."""
    grid = np.random.RandomState(0).rand(8, 8, 8)
    files = [_written("grid.npz")]
    for save, kind in ((np.savez, np.float64), (np.savez_compressed, np.float32), (np.savez_compressed, np.int16)):
        buffer = io.BytesIO()
        save(buffer, density=(grid * 9).astype(kind), box_side=1.0, iso_level=2.0)
        files.append({"grid.npz": buffer.getvalue()})
    return files


def _two_of_a_name() -> list[tuple[str, Files]]:
    """The header that is checked is not that of the array which is read."""
    [small] = _written("grid.npz").values()
    large = io.BytesIO()
    np.save(large, np.zeros((400, 400, 400), np.float32))
    archive = io.BytesIO(small)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the second name
        file.writestr("density.npy", large.getvalue())
    return [("two members of one name", {"grid.npz": archive.getvalue()})]


def _of_the_readers(event: str, arguments: tuple[Any, ...]) -> bool:
    """How much memory there is; and the header of an array, which numpy reads as a literal of Python."""
    memory = event == "open" and arguments[0] == "/proc/meminfo"
    return memory or (event == "compile" and arguments[1] == "<unknown>")


FORMATS = [
    Format(
        name="density-npz",
        corpus=_npz,
        read=lambda folder: read_density(only(folder)),
        extra=_two_of_a_name,
        refusals=(InputError, OutOfMemoryError),
        permits=_of_the_readers,
    ),
    Format(
        name="density-mrc",
        corpus=lambda: [_written("grid.mrc")],
        read=lambda folder: read_density(only(folder)),
        refusals=(InputError, OutOfMemoryError),
        permits=_of_the_readers,
    ),
]
