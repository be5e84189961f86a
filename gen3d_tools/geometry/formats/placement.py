"""How a mesh or a point cloud stands in its file: size, place and upward axis."""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.formats.lengths import METRES, WrittenSize, check_length, check_unit
from gen3d_tools.wording import option

# x, y, z -> x, -z, y: a quarter turn about x, so that a front facing +z then faces -y, as in Blender
Y_UP_TO_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

_METRES_BY_STANDARD = (".glb", ".gltf", ".usdz")
_FOR_PRINTERS = (".stl", ".3mf")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What is done to positions on their way into a file: centred or put onto the ground, then scaled, then turned."""

    up: str = "y"  # the file's upward axis, "y" or "z"
    scale: float | None = None  # length of the box's longest side in the file, metres; None keeps world units
    center: bool = False  # put the middle of the box at the origin
    ground: bool = False  # stand the object on the plane y = 0; with `center`, in the middle of it
    unit: str | None = None  # of the numbers in files whose format leaves it open; None: mm for printers, m elsewhere

    def check(self) -> None:
        """Say before any work is done whether the values make sense.

        Raises:
            InputError: They do not.
        """
        if self.up not in ("y", "z"):
            raise InputError(f"up is {self.up!r}, it must be y or z")
        if self.scale is not None:
            check_length(self.scale, f"{self.scale:g}")
        if self.unit is not None:
            check_unit(self.unit)
            if self.scale is None:
                raise InputError(
                    f"unit is {self.unit}, but a model's own units have no length; give {option('scale', '80mm')}"
                )

    def file_unit(self, suffix: str) -> str:
        """Give the unit of the numbers in a file; empty where they are world units and the format has no unit.

        Args:
            suffix: Of the file, in small letters.
        """
        if suffix in _METRES_BY_STANDARD:
            return "m"
        if self.scale is None:
            return "m" if suffix == ".3mf" else ""
        return self.unit or ("mm" if suffix in _FOR_PRINTERS else "m")

    def written(self, mesh: trimesh.Trimesh, volume: float, suffix: str) -> WrittenSize:
        """Say how large a mesh will be in a file.

        Args:
            mesh: In world units.
            volume: Of the mesh, cubic world units.
            suffix: Of the file, in small letters.
        """
        unit, before = self.file_unit(suffix), np.ptp(np.asarray(mesh.vertices), axis=0)
        low, high = (extreme(self.positions(np.asarray(mesh.vertices), unit), axis=0) for extreme in (np.min, np.max))
        grown = float((high - low).max() / before.max())
        x, y, z = (high - low).tolist()
        return WrittenSize(size=(x, y, z), volume=volume * grown**3, unit=unit)

    def positions(self, points: Float[np.ndarray, "n 3"], unit: str = "m") -> Float[np.ndarray, "n 3"]:
        """Place points.

        Args:
            points: World units, y up.
            unit: Of the numbers that are wanted, if there is a scale.

        Raises:
            InputError: They are to be scaled and have no extent.
        """
        self.check()
        placed = np.asarray(points, np.float64)
        if not len(placed):
            return placed
        low, high = placed.min(axis=0), placed.max(axis=0)
        shift = (low + high) / 2 * self.center
        if self.ground:
            shift[1] = low[1]
        placed = placed - shift
        if self.scale is not None:
            longest = (high - low).max()
            if not longest > 0:
                raise InputError("all points lie in one place, so they cannot be scaled; leave the scale out")
            placed = placed * (self.scale / METRES[unit or "m"] / longest)
        return self.directions(placed)

    def directions(self, vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Turn vectors with the positions."""
        return vectors @ Y_UP_TO_Z_UP[:3, :3].T if self.up == "z" else vectors

    def mesh(self, mesh: trimesh.Trimesh, unit: str = "m") -> trimesh.Trimesh:
        """Place a mesh: a new one with unit normals and the same colours, and nothing else that hung on the old one.

        Args:
            mesh: World units, y up.
            unit: Of the numbers that are wanted, if there is a scale.
        """
        normals = unit_normals(np.asarray(mesh.vertex_normals, np.float64))
        return trimesh.Trimesh(
            self.positions(np.asarray(mesh.vertices), unit),
            np.asarray(mesh.faces),
            vertex_normals=self.directions(normals),
            visual=None if mesh.visual is None else mesh.visual.copy(),
            process=False,
        )


def unit_normals(normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Make lengths 1; a vector without a direction (a vertex without faces) points up, for formats want some."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    good = np.isfinite(lengths) & (lengths > 1e-12)
    unit: np.ndarray = np.where(good, normals / np.where(good, lengths, 1), [0.0, 1.0, 0.0])
    return unit
