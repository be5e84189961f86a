"""A camera is a frozen value: where it stands, how it is turned and what its lens covers.

World: right-handed, y up, the object faces +z. Camera axes are OpenCV's: x right, y down, z forward.
Angles are degrees. With target `t` and radius `r`, yaw and pitch place the camera at

    t + r * (sin yaw cos pitch, sin pitch, cos yaw cos pitch)

so yaw 0, pitch 0 is the front view from +z; yaw grows towards +x (the object's left), pitch upwards.
Intrinsics are in image sides: a point in the camera's frame lands at `(K p / p_z)`, with (0, 0) the
picture's upper left corner and (1, 1) its lower right one. The field of view is the vertical one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.checks import (
    Numbers,
    broadcast,
    check_lens,
    check_rigid,
    common_device,
    float_tensor,
    matrix_tensor,
    vectors,
)
from gen3d_tools.errors import InputError

_PARALLEL = 1e-6  # sine of the angle below which a view counts as running along `up`


@dataclass(frozen=True, eq=False, repr=False)
class Camera:
    """One camera, or a batch of them over any leading axes.

    Values are kept as float32. Gradients flow through the constructors, so a camera can be optimised.

    Raises:
        InputError: A wrong shape, a value that is not finite, a rotation that is not one, a focal length <= 0.
    """

    cam2world: Float[Tensor, "*b 4 4"]
    """Maps homogeneous points from the camera's OpenCV axes to the world. The last row is (0, 0, 0, 1)."""

    intrinsics: Float[Tensor, "*b 3 3"]
    """Focal lengths and principal point in image sides, [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]."""

    def __post_init__(self) -> None:
        for name, side in (("cam2world", 4), ("intrinsics", 3)):
            object.__setattr__(self, name, matrix_tensor(name, getattr(self, name), side))
        if self.cam2world.shape[:-2] != self.intrinsics.shape[:-2]:
            shapes = f"{list(self.cam2world.shape)} and {list(self.intrinsics.shape)}"
            raise InputError(f"cam2world and intrinsics need the same leading axes, got {shapes}")
        with torch.no_grad():
            check_rigid(self.cam2world)
            check_lens(self.intrinsics)

    def __repr__(self) -> str:
        """Say in one line where it stands, or how many there are."""
        count, batch = math.prod(self.batch_shape), " x ".join(map(str, self.batch_shape))
        if not count:
            return f"Camera(none, {batch})"
        place = ", ".join(f"{number:.3g}" for number in self.position.detach().reshape(-1, 3)[0].tolist())
        fov = f"{float(self.fov_y_deg.detach().reshape(-1)[0]):.3g}"
        which = f"{batch} cameras, the first at" if self.batch_shape else "at"
        return f"Camera({which} ({place}), field of view {fov} degrees)"

    @classmethod
    def look_at(
        cls, position: Numbers, target: Numbers = (0, 0, 0), up: Numbers = (0, 1, 0), *, fov_y_deg: Numbers
    ) -> "Camera":
        """A camera at `position` that looks at `target`, upright with respect to `up`.

        A view along `up` (straight down or up) leaves the roll open; then the picture's right is world +x,
        which is what `from_spherical` gives at yaw 0.

        Args:
            position: World position, [*b, 3].
            target: World point in the middle of the picture, [*b, 3].
            up: World direction that points upwards in the picture, [*b, 3].
            fov_y_deg: Vertical field of view in degrees, within (0, 180), [*b].

        Raises:
            InputError: `position` equals `target`, or an argument is out of its range.
        """
        device = common_device(position, target, up, fov_y_deg)
        cam2world = look_at_matrix(
            vectors("position", position, device), vectors("target", target, device), vectors("up", up, device)
        )
        return cls._with_lens(cam2world, float_tensor("fov_y_deg", fov_y_deg, device))

    @classmethod
    def from_spherical(
        cls,
        yaw_deg: Numbers,
        pitch_deg: Numbers,
        radius: Numbers,
        *,
        fov_y_deg: Numbers,
        target: Numbers = (0, 0, 0),
    ) -> "Camera":
        """A camera on a sphere around `target`, looking at it. Works at the poles too.

        Args:
            yaw_deg: 0 = in front of the object, growing towards +x, its left, [*b].
            pitch_deg: 0 = level, 90 = straight above, [*b]. Beyond 90 the camera is upside down on the other side.
            radius: Distance from `target` in world units, > 0, [*b].
            fov_y_deg: Vertical field of view in degrees, within (0, 180), [*b].
            target: World point in the middle of the picture, [*b, 3].

        Raises:
            InputError: An argument is out of its range or not finite, or the shapes do not broadcast.
        """
        device = common_device(yaw_deg, pitch_deg, radius, fov_y_deg, target)
        yaw = float_tensor("yaw_deg", yaw_deg, device).deg2rad()
        pitch = float_tensor("pitch_deg", pitch_deg, device).deg2rad()
        distance = float_tensor("radius", radius, device)
        if not (distance > 0).all():
            raise InputError(f"radius must be positive, got {distance.min().item():g}")
        yaw, pitch, distance = broadcast(yaw_deg=yaw, pitch_deg=pitch, radius=distance)
        outward = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], dim=-1)
        offset, aim = broadcast(offset=distance[..., None] * outward, target=vectors("target", target, device))
        right = torch.stack([yaw.cos(), torch.zeros_like(yaw), -yaw.sin()], dim=-1)
        return cls._with_lens(_rigid(right, -outward, aim + offset), float_tensor("fov_y_deg", fov_y_deg, device))

    @classmethod
    def from_eg3d_label(cls, label: Float[Tensor, "*b numbers"]) -> "Camera":
        """Read EG3D's 25 numbers: cam2world (16, row by row), then intrinsics (9, row by row)."""
        if label.shape[-1] != 25:
            raise InputError(f"an EG3D camera label has 25 numbers (16 cam2world, 9 intrinsics), got {label.shape[-1]}")
        batch = label.shape[:-1]
        return cls(label[..., :16].reshape(*batch, 4, 4), label[..., 16:].reshape(*batch, 3, 3))

    def to_eg3d_label(self) -> Float[Tensor, "*b 25"]:
        """EG3D's 25 numbers; the inverse of `from_eg3d_label`."""
        return torch.cat([self.cam2world.flatten(-2), self.intrinsics.flatten(-2)], dim=-1)

    @classmethod
    def _with_lens(cls, cam2world: Float[Tensor, "*c 4 4"], fov_y_deg: Float[Tensor, "*f"]) -> "Camera":
        fov, _ = broadcast(fov_y_deg=fov_y_deg, camera=cam2world[..., 0, 0])
        return cls(cam2world.expand(*fov.shape, 4, 4), intrinsics_from_fov(fov))

    @property
    def batch_shape(self) -> torch.Size:
        """The leading axes; `()` for a single camera."""
        return self.cam2world.shape[:-2]

    @property
    def device(self) -> torch.device:
        """Where the matrices live."""
        return self.cam2world.device

    @property
    def position(self) -> Float[Tensor, "*b 3"]:
        """World position of the optical centre."""
        return self.cam2world[..., :3, 3]

    @property
    def forward(self) -> Float[Tensor, "*b 3"]:
        """Unit viewing direction in the world."""
        return self.cam2world[..., :3, 2]

    @property
    def fov_y_deg(self) -> Float[Tensor, "*b"]:
        """Vertical field of view in degrees, 2 atan(0.5 / fy)."""
        return torch.rad2deg(2 * torch.atan(0.5 / self.intrinsics[..., 1, 1]))

    def spherical(
        self, target: Numbers = (0, 0, 0)
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        """Yaw and pitch in degrees and the radius of the position around `target`.

        Straight above or below the target the position says nothing of the yaw; the picture's right side then does.

        Raises:
            InputError: A camera stands on `target`.
        """
        offset = self.position - vectors("target", target, self.device)
        radius = offset.norm(dim=-1)
        if (radius == 0).any():
            raise InputError("the camera stands on the target, so it has no yaw and pitch around it; give another one")
        level = torch.hypot(offset[..., 0], offset[..., 2])
        at_pole = level <= _PARALLEL * radius
        right = self.cam2world[..., :3, 0]
        yaw = torch.where(
            at_pole, torch.atan2(-right[..., 2], right[..., 0]), torch.atan2(offset[..., 0], offset[..., 2])
        )
        return yaw.rad2deg(), torch.atan2(offset[..., 1], level).rad2deg(), radius

    def with_fov(self, fov_y_deg: Numbers) -> "Camera":
        """The same camera with another vertical field of view; aspect, skew and principal point stay."""
        wanted = intrinsics_from_fov(float_tensor("fov_y_deg", fov_y_deg, self.device))
        zoom = (wanted[..., 1, 1] / self.intrinsics[..., 1, 1])[..., None, None]
        focal_part = zoom.new_tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        return Camera(self.cam2world, self.intrinsics * (1 + focal_part * (zoom - 1)))

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera on `device`."""
        return Camera(self.cam2world.to(device), self.intrinsics.to(device))

    def flatten(self) -> "Camera":
        """All leading axes as one, [n]; a single camera becomes a batch of one."""
        return Camera(self.cam2world.reshape(-1, 4, 4), self.intrinsics.reshape(-1, 3, 3))

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError("a single camera has no length; use .flatten() for a batch of one")
        return self.batch_shape[0]

    def __getitem__(self, index: Any) -> "Camera":
        """Index the leading axes as one would a tensor's: numbers, slices, masks, `...`."""
        ids = torch.arange(self.batch_shape.numel(), device=self.device).reshape(self.batch_shape)[index]
        flat = self.flatten()
        return Camera(flat.cam2world[ids], flat.intrinsics[ids])

    def __iter__(self) -> Iterator["Camera"]:
        return (self[index] for index in range(len(self)))


def stack_cameras(cameras: Sequence[Camera]) -> Camera:
    """One camera batch with a new first axis.

    Raises:
        InputError: The list is empty, or the cameras' leading axes differ.
    """
    if not cameras:
        raise InputError("there are no cameras to stack; give at least one")
    shapes = sorted({tuple(camera.batch_shape) for camera in cameras})
    if len(shapes) > 1:
        raise InputError(f"cameras to stack need the same leading axes, got {', '.join(map(str, shapes))}")
    device = cameras[0].device
    return Camera(
        torch.stack([camera.cam2world.to(device) for camera in cameras]),
        torch.stack([camera.intrinsics.to(device) for camera in cameras]),
    )


def look_at_matrix(
    position: Float[Tensor, "... 3"], target: Float[Tensor, "... 3"], up: Float[Tensor, "... 3"]
) -> Float[Tensor, "*b 4 4"]:
    """The cam2world behind `Camera.look_at`.

    Raises:
        InputError: `position` equals `target`, `up` has no length, or the shapes do not broadcast.
    """
    position, target, up = broadcast(position=position, target=target, up=up)
    offset = target - position
    if (offset.norm(dim=-1) == 0).any():
        raise InputError("position and target are the same point, so there is no direction to look in; move one")
    if (up.norm(dim=-1) == 0).any():
        raise InputError("up must have a length; (0, 1, 0) is the world's up")
    forward = torch.nn.functional.normalize(offset, dim=-1)
    return _rigid(_right_of(forward, torch.nn.functional.normalize(up, dim=-1)), forward, position)


def intrinsics_from_fov(fov_y_deg: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Square pixels, principal point in the middle, focal length 0.5 / tan(fov / 2) image sides.

    Raises:
        InputError: A field of view outside (0, 180) degrees.
    """
    outside = ~((fov_y_deg > 0) & (fov_y_deg < 180))
    if outside.any():
        raise InputError(f"fov_y_deg must lie between 0 and 180 degrees, got {fov_y_deg[outside][0].item():g}")
    focal = 0.5 / torch.tan(fov_y_deg.deg2rad() / 2)
    return intrinsics_from_focal(focal)


def intrinsics_from_focal(focal: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Intrinsics of a focal length in image sides, principal point in the middle."""
    zero, half, one = torch.zeros_like(focal), torch.full_like(focal, 0.5), torch.ones_like(focal)
    entries = torch.stack([focal, zero, half, zero, focal, half, zero, zero, one], dim=-1)
    return entries.reshape(*focal.shape, 3, 3)


def _rigid(
    right: Float[Tensor, "*#b 3"], forward: Float[Tensor, "*#b 3"], position: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b 4 4"]:
    """The cam2world of two unit axes and the position; the third axis, down, is their cross product."""
    down = torch.linalg.cross(forward, right)
    columns = broadcast(right=right, down=down, forward=forward, position=position)
    upper = torch.stack(columns, dim=-1)
    last_row = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*upper.shape[:-2], 1, 4)
    return torch.cat([upper, last_row], dim=-2)


def _right_of(forward: Float[Tensor, "*b 3"], up: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Unit vector to the picture's right; both arguments are unit vectors."""
    right = torch.linalg.cross(forward, up)
    # A view along `up`: world x, or -z should that be `up` itself, made perpendicular to the view.
    x_axis, z_axis = forward.new_tensor([1.0, 0.0, 0.0]), forward.new_tensor([0.0, 0.0, -1.0])
    spare = torch.where(forward[..., :1].abs() < 0.9, x_axis, z_axis)
    spare = spare - (spare * forward).sum(dim=-1, keepdim=True) * forward
    along_up = right.norm(dim=-1, keepdim=True) <= _PARALLEL
    return torch.nn.functional.normalize(torch.where(along_up, spare, right), dim=-1)
