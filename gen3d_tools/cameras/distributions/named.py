"""Where cameras stand at random: named distributions for `config.json`.

One seed names one camera, see `cameras.streams`. Torch is imported when a camera is made, not when a config is read.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gen3d_tools.cameras.conventions import check_finite, check_fov, check_radius
from gen3d_tools.cameras.distributions.priors import PosePrior
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.printable import quoted

if TYPE_CHECKING:
    from torch import Tensor

    from gen3d_tools.cameras.camera import Camera
    from gen3d_tools.cameras.checks import Numbers


@dataclass(frozen=True, kw_only=True)
class _Distribution:
    """What all distributions share: a name and plain values."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.json`; `distribution_from_dict` reads them back."""
        values = {name: list(value) if name == "target" else value for name, value in dataclasses.asdict(self).items()}
        return {"kind": self.kind, **values}


@dataclass(frozen=True, kw_only=True)
class _Around(_Distribution):
    """A distance from a target, and a lens."""

    radius: float  # distance from the target, world units
    fov_y_deg: float  # vertical field of view
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the point in the middle of the picture

    def __post_init__(self) -> None:
        check_radius(self.radius, self.target)
        check_fov("fov_y_deg", self.fov_y_deg)

    def _at(self, yaw_deg: "Numbers", pitch_deg: "Numbers") -> "Camera":
        from gen3d_tools.cameras.camera import Camera

        return Camera.from_spherical(yaw_deg, pitch_deg, self.radius, fov_y_deg=self.fov_y_deg, target=self.target)


@dataclass(frozen=True, kw_only=True)
class UniformSphere(_Around):
    """Uniform in area on a sphere, or on a band of it: yaw is uniform, and so is sin(pitch)."""

    kind: ClassVar[str] = "uniform_sphere"

    pitch_min_deg: float = -90.0
    pitch_max_deg: float = 90.0
    yaw_min_deg: float = -180.0
    yaw_max_deg: float = 180.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -90 <= self.pitch_min_deg <= self.pitch_max_deg <= 90:
            bounds = f"pitch_min_deg={self.pitch_min_deg:g}, pitch_max_deg={self.pitch_max_deg:g}"
            raise InputError(f"need -90 <= pitch_min_deg <= pitch_max_deg <= 90, got {bounds}")
        if not 0 <= self.yaw_max_deg - self.yaw_min_deg <= 360:
            bounds = f"yaw_min_deg={self.yaw_min_deg:g}, yaw_max_deg={self.yaw_max_deg:g}"
            raise InputError(f"need yaw_min_deg <= yaw_max_deg, at most one turn apart, got {bounds}")

    def sample(self, n: int, seeds: Sequence[int]) -> "Camera":
        """Draw `n` cameras, one per seed.

        Raises:
            InputError: `n` differs from the number of seeds, or a seed is out of range.
        """
        import torch

        from gen3d_tools.cameras.distributions.streams import uniform_draws

        draws = torch.from_numpy(uniform_draws(n, seeds, per_seed=2))
        return self._band(draws[:, 0], draws[:, 1])

    def mean(self) -> "Camera":
        """The camera in the middle of the band: as much area above as below it, to its left as to its right."""
        import torch

        middle = torch.tensor(0.5, dtype=torch.float64)
        return self._band(middle, middle)

    def _band(self, along: "Tensor", across: "Tensor") -> "Camera":
        """The camera at fractions of the band's yaw range and height, each 0 to 1, [*b]."""
        low, high = (math.sin(math.radians(pitch)) for pitch in (self.pitch_min_deg, self.pitch_max_deg))
        yaw = self.yaw_min_deg + (self.yaw_max_deg - self.yaw_min_deg) * along
        height = (low + (high - low) * across).clamp(-1, 1)
        return self._at(yaw, height.asin().rad2deg())


@dataclass(frozen=True, kw_only=True)
class FixedCamera(_Around):
    """Every seed gets the same camera."""

    kind: ClassVar[str] = "fixed"

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite("yaw_deg", self.yaw_deg)
        check_finite("pitch_deg", self.pitch_deg)

    def sample(self, n: int, seeds: Sequence[int]) -> "Camera":
        """The camera `n` times.

        Raises:
            InputError: `n` differs from the number of seeds, or a seed is out of range.
        """
        import torch

        from gen3d_tools.cameras.distributions.streams import uniform_draws

        uniform_draws(n, seeds, per_seed=0)
        return self._at(torch.full((n,), self.yaw_deg), self.pitch_deg)

    def mean(self) -> "Camera":
        """The camera."""
        return self._at(self.yaw_deg, self.pitch_deg)


@dataclass(frozen=True, kw_only=True)
class GaussianLookAt(_Distribution):
    """EG3D's look-at sampler: positions on a sphere around the *origin*, most of them in front, aimed at `target`.

    The angles are EG3D's, see `cameras.eg3d`: the yaw is normal around the front, the height around the equator.
    """

    kind: ClassVar[str] = "gaussian_look_at"

    radius: float  # distance from the origin, world units
    fov_y_deg: float  # vertical field of view
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the point in the middle of the picture
    spread_yaw_rad: float = 0.3  # standard deviations; EG3D's samples of faces have these
    spread_pitch_v: float = 0.155

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.spread_yaw_rad >= 0 and self.spread_pitch_v >= 0):
            spreads = f"spread_yaw_rad={self.spread_yaw_rad:g}, spread_pitch_v={self.spread_pitch_v:g}"
            raise InputError(f"need radius > 0 and spreads of 0 or more, got radius={self.radius:g}, {spreads}")
        check_radius(self.radius, self.target)
        check_fov("fov_y_deg", self.fov_y_deg)
        if self.target == (0.0, 0.0, self.radius):
            raise InputError(f"the camera in front stands on its target, {self.target}; move one of them")

    def sample(self, n: int, seeds: Sequence[int]) -> "Camera":
        """Draw `n` cameras, one per seed.

        Raises:
            InputError: `n` differs from the number of seeds, or a seed is out of range.
        """
        import torch

        from gen3d_tools.cameras.distributions.streams import uniform_draws

        uniform = torch.from_numpy(uniform_draws(n, seeds, per_seed=2)).clamp_min(1e-12)
        yaw, pitch = torch.special.ndtri(uniform).unbind(-1)
        return self._at(self.spread_yaw_rad * yaw, self.spread_pitch_v * pitch)

    def mean(self) -> "Camera":
        """The camera straight in front."""
        import torch

        return self._at(torch.zeros(()), torch.zeros(()))

    def _at(self, yaw_shift: "Tensor", pitch_shift: "Tensor") -> "Camera":
        from gen3d_tools.cameras.camera import Camera, intrinsics_from_fov
        from gen3d_tools.cameras.checks import float_tensor
        from gen3d_tools.cameras.distributions.eg3d import eg3d_look_at

        cam2world = eg3d_look_at(math.pi / 2 + yaw_shift, math.pi / 2 + pitch_shift, self.target, self.radius)
        lens = intrinsics_from_fov(float_tensor("fov_y_deg", self.fov_y_deg))
        return Camera(cam2world, lens.expand(*cam2world.shape[:-2], 3, 3))


CameraDistribution = UniformSphere | FixedCamera | GaussianLookAt | PosePrior
_Plain = UniformSphere | FixedCamera | GaussianLookAt
_KINDS: dict[str, type[_Plain]] = {one.kind: one for one in (UniformSphere, FixedCamera, GaussianLookAt)}


def distribution_from_dict(data: Mapping[str, Any]) -> CameraDistribution:
    """Read what `to_dict` wrote.

    Raises:
        CheckpointError: An unknown kind, an unknown or missing key, or a value no camera can have.
    """
    kind = data.get("kind")
    if kind == PosePrior.kind:
        return PosePrior.from_dict(data)
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join([*_KINDS, PosePrior.kind])
        raise CheckpointError(f"unknown camera distribution {quoted(kind)}; known are {known}")
    fields = dataclasses.fields(_KINDS[kind])
    if unknown := sorted(set(data) - {field.name for field in fields} - {"kind"}):
        raise CheckpointError(f"unknown key {quoted(unknown[0])} in camera distribution {kind!r}")
    if missing := [field.name for field in fields if field.default is dataclasses.MISSING and field.name not in data]:
        raise CheckpointError(f"missing key {missing[0]!r} in camera distribution {kind!r}")
    try:
        return _KINDS[kind](**{name: _plain_value(name, value) for name, value in data.items() if name != "kind"})
    except (InputError, OverflowError) as error:
        raise CheckpointError(f"camera distribution {kind!r}: {error}") from error


def _plain_value(name: str, value: Any) -> Any:
    numbers = value if name == "target" else [value]
    if (
        not isinstance(numbers, list | tuple)
        or len(numbers) != (3 if name == "target" else 1)
        or any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers)
    ):
        wanted = "three numbers" if name == "target" else "a number"
        raise CheckpointError(f"{name} of a camera distribution must be {wanted}, got {quoted(value)}")
    plain = tuple(float(number) for number in numbers)
    return plain if name == "target" else plain[0]
