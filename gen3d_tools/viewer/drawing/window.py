"""From where a session looks, and the window it looks through."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator

Vector = tuple[float, float, float]

MAX_SIDE = 8192
"""Pixels of a window's side that a browser is believed."""

_MESH_FOV_DEG = 30.0  # vertical field of view where meshes alone are seen
_MARGIN = 1.1  # of their distance
_ON_SPHERE = 1e-3  # relative difference of distances that nobody sees
_UPRIGHT = 1e-3  # sine of a roll that nobody sees


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera as browsers have it, and its window; the picture of a model is the window's middle square."""

    position: Vector
    look_at: Vector
    up: Vector = (0.0, 1.0, 0.0)
    fov_deg: float  # vertical field of view of the middle square
    width: int = 512  # of the window, pixels
    height: int = 512

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def window_fov_deg(self) -> float:
        """Vertical field of view of the whole window: wider than the square's where the window is upright."""
        return fov_of_window(self.fov_deg, self.aspect)

    def camera(self) -> Camera:
        """The camera of the middle square.

        Raises:
            InputError: A number is not finite, or the camera stands on the point it looks at.
        """
        return Camera.look_at(self.position, self.look_at, self.up, fov_y_deg=self.fov_deg)

    def checked(self) -> "View":
        """Refuse what no browser shows.

        Raises:
            InputError: A number is not finite or out of its range.
        """
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise InputError(f"a window of {self.width} x {self.height} pixels; its sides lie in 1..{MAX_SIDE}")
        if not all(map(math.isfinite, (*self.position, *self.look_at, *self.up))) or not 0 < self.fov_deg < 180:
            raise InputError("a camera whose numbers are not finite, or whose lens sees nothing or everything")
        if math.dist(self.position, self.look_at) == 0 or not any(self.up):
            raise InputError("a camera that stands on the point it looks at, or knows no upward direction")
        return self


def fov_of_window(square_deg: float, aspect: float) -> float:
    """Give a window's vertical field of view in degrees whose middle square has another one.

    Args:
        square_deg: Of the square that is as wide as the window's shorter side, degrees.
        aspect: Width over height of the window.
    """
    return math.degrees(2 * math.atan(math.tan(math.radians(square_deg) / 2) / min(aspect, 1.0)))


def fov_of_square(window_deg: float, aspect: float) -> float:
    """The inverse of `fov_of_window`."""
    return math.degrees(2 * math.atan(math.tan(math.radians(window_deg) / 2) * min(aspect, 1.0)))


def view_of(camera: Camera, target: Vector, width: int = 512, height: int = 512) -> View:
    """Give a camera as a view around a point: it looks at the point of its axis that is nearest to the target.

    Args:
        camera: A single one. Of an upright one, up is the world's, around which people turn the object.
        target: World point in the middle of the object.
        width: Of the window, pixels.
        height: Of the window, pixels.
    """
    position, forward = camera.position.cpu(), camera.forward.cpu()
    ahead = max(float((forward.new_tensor(target) - position) @ forward), 1e-3)
    right, up = camera.cam2world[:3, 0].cpu(), -camera.cam2world[:3, 1].cpu()
    upright = abs(float(right[1])) <= _UPRIGHT and float(up[1]) > _UPRIGHT
    return View(
        position=vector(position),
        look_at=vector(position + ahead * forward),
        up=(0.0, 1.0, 0.0) if upright else vector(up),
        fov_deg=float(camera.fov_y_deg),
        width=width,
        height=height,
    )


def default_view(generator: Generator, view: View | None = None) -> View:
    """Give the view that shows a model best, through the window of another one."""
    found = view_of(generator.default_camera(), generator.default_view.target)
    return found if view is None else replace(found, width=view.width, height=view.height)


def around(meshes: Iterable[trimesh.Trimesh]) -> View:
    """Give a view that sees all of some meshes, from above on their left.

    Args:
        meshes: In world units, y up; without any, the cube of side 2 is seen.
    """
    corners = np.concatenate([np.asarray(mesh.bounds) for mesh in meshes] or [np.array([[-1.0] * 3, [1.0] * 3])])
    low, high = corners.min(0), corners.max(0)
    middle, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    distance = _MARGIN * radius / math.sin(math.radians(_MESH_FOV_DEG / 2))
    camera = Camera.from_spherical(30.0, 20.0, distance, fov_y_deg=_MESH_FOV_DEG, target=vector(middle))
    return view_of(camera, vector(middle))


def angles_of(view: View, generator: Generator) -> tuple[float, float] | None:
    """Give yaw and pitch in degrees, where these and a field of view say all of a view: on the model's sphere.

    Returns:
        None where the camera is at another distance, looks past the target, or is rolled.
    """
    camera, default = view.camera(), generator.default_view
    yaw, pitch, radius = (float(one) for one in camera.spherical(default.target))
    placed = Camera.from_spherical(yaw, pitch, default.radius, fov_y_deg=view.fov_deg, target=default.target)
    near = abs(radius / default.radius - 1) < _ON_SPHERE
    return (yaw, pitch) if near and bool(((placed.cam2world - camera.cam2world).abs() < 5e-3).all()) else None


def vector(numbers: Any) -> Vector:
    """Three numbers of any kind as a plain tuple, x, y and z."""
    x, y, z = (float(one) for one in numbers)
    return x, y, z
