"""Where EpiGRAF and 3DGP assume their training cameras to be: one named distribution per camera parameter.

Angles are those of `cameras.poses`. The mean of a parameter is the one that the published code calls so. Torch, numpy
and scipy are imported when a camera is drawn, not when a config is read.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from gen3d_tools.cameras.conventions import POLE_MARGIN, YawZero, check_finite, check_fov
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.printable import quoted

if TYPE_CHECKING:
    import numpy as np

    from gen3d_tools.cameras.camera import Camera
    from gen3d_tools.cameras.poses import Pose

Shape = Literal["fixed", "uniform", "uniform_area", "normal", "truncated_normal", "hybrid"]
DRAWS = 8
"""Uniform numbers that make a pose."""
SPREAD_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fixed": (("center",), ()),
    "uniform": (("low", "high"), ()),
    "uniform_area": (("low", "high"), ()),
    "normal": (("std",), ("center",)),
    "truncated_normal": (("std", "low", "high"), ("center",)),
    "hybrid": (("std",), ("center", "low", "high")),  # the last two for what the published code calls the mean
}
"""What each shape of a `Spread` needs to be told, and what else it reads."""
_MIDDLE_IS_MEAN = ("uniform", "uniform_area", "hybrid")


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How one number is distributed.

    "fixed": always `center`; "uniform": `low`..`high`; "uniform_area": a polar angle such that points are uniform in
    area, `low` and `high` being linear in the height, 0 above and pi below; "normal": around `center`;
    "truncated_normal": the same, redrawn outside `low`..`high`; "hybrid": half of the draws normal, half uniform
    within two standard deviations.
    """

    shape: Shape
    center: float = 0.0
    std: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InputError(f"unknown distribution {self.shape!r}; known are {', '.join(get_args(Shape))}")
        if not all(math.isfinite(value) for value in (self.center, self.std, self.low, self.high)):
            raise InputError(f"a distribution needs finite numbers, got {self}")
        if not self.low <= self.high or self.std < 0:
            raise InputError(f"need low <= high and std >= 0, got {self.low:g}, {self.high:g} and {self.std:g}")
        if self.shape == "truncated_normal" and self.std == 0:
            raise InputError("a truncated normal distribution needs a standard deviation above 0")

    def at(self, u: "np.ndarray", coin: "np.ndarray") -> "np.ndarray":
        """Turn uniform numbers in [0, 1) into draws; `coin`, likewise, decides where there is a choice."""
        import numpy as np
        from scipy.special import ndtr, ndtri

        if self.shape == "fixed":
            return np.full_like(u, self.center)
        if self.shape == "uniform":
            return self.low + (self.high - self.low) * u
        if self.shape == "uniform_area":
            return _polar_angle(self.low + (self.high - self.low) * u)
        if self.shape == "truncated_normal":
            below, above = (ndtr((end - self.center) / self.std) for end in (self.low, self.high))
            u = below + (above - below) * u
        normal: np.ndarray = self.center + self.std * ndtri(u.clip(1e-12, 1 - 1e-12))
        if self.shape == "truncated_normal":
            return normal.clip(self.low, self.high)
        flat = self.center + 2 * self.std * (2 * u - 1)
        return np.where(coin < 0.5, flat, normal) if self.shape == "hybrid" else normal

    def mean(self) -> float:
        """What the published code takes for the mean."""
        return (self.low + self.high) / 2 if self.shape in _MIDDLE_IS_MEAN else self.center

    def range(self) -> tuple[float, float]:
        """Ends between which nearly all draws lie: two standard deviations where there are no bounds."""
        if self.shape == "fixed":
            return self.center, self.center
        if self.shape == "uniform_area":
            import numpy as np

            low, high = _polar_angle(np.array([self.low, self.high])).tolist()
            return low, high
        if self.shape in ("normal", "hybrid"):
            return self.center - 2 * self.std, self.center + 2 * self.std
        return self.low, self.high


def _polar_angle(v: "np.ndarray") -> "np.ndarray":
    """The polar angle of a number that runs linearly in the height, 0 above and pi below."""
    import numpy as np

    angle: np.ndarray = np.arccos(1 - 2 * (v / math.pi).clip(POLE_MARGIN, 1 - POLE_MARGIN))
    return angle


def fixed(value: float) -> Spread:
    """Always the same number."""
    return Spread(shape="fixed", center=value)


_ZERO, _UNIT, _LEVEL = fixed(0.0), fixed(1.0), fixed(math.pi / 2)


@dataclass(frozen=True, kw_only=True)
class PosePrior:
    """Independent distributions of all camera parameters. One seed names one camera."""

    kind: ClassVar[str] = "pose_prior"

    yaw: Spread
    pitch: Spread
    fov_deg: Spread
    radius: Spread = _UNIT
    look_at_yaw: Spread = _ZERO
    look_at_pitch: Spread = _LEVEL
    look_at_radius: Spread = _ZERO
    yaw_zero: YawZero = "z"  # see `Pose`

    def __post_init__(self) -> None:
        yaw, pitch, fov, radius, *aim = (spread.mean() for spread in self._spreads())
        check_finite("a mean of the distribution", yaw, pitch, radius, *aim)
        check_fov("fov_deg", fov)
        if radius == aim[2] and (radius == 0 or (yaw, pitch) == tuple(aim[:2])):
            raise InputError("the mean camera stands on the point it looks at; move one of them")

    def sample_poses(self, n: int, seeds: Sequence[int]) -> "Pose":
        """Draw `n` poses, one per seed.

        Raises:
            InputError: `n` differs from the number of seeds, or a seed is out of range.
        """
        from gen3d_tools.cameras.distributions.streams import uniform_draws

        return self.poses_at(uniform_draws(n, seeds, per_seed=DRAWS))

    def poses_at(self, draws: "np.ndarray") -> "Pose":
        """Turn uniform numbers in [0, 1), [n, `DRAWS`], into n poses of the distribution."""
        import numpy as np

        coin = draws[:, -1]
        numbers = [spread.at(draws[:, i], coin) for i, spread in enumerate(self._spreads())]
        return self._pose(np.stack(numbers, -1))

    def sample(self, n: int, seeds: Sequence[int]) -> "Camera":
        """Draw `n` cameras, one per seed.

        Raises:
            InputError: `n` differs from the number of seeds, or a seed is out of range.
        """
        return self.sample_poses(n, seeds).camera()

    def mean_pose(self) -> "Pose":
        """The mean of each number."""
        import numpy as np

        return self._pose(np.array([spread.mean() for spread in self._spreads()]))

    def mean(self) -> "Camera":
        """The camera of `mean_pose`."""
        return self.mean_pose().camera()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.json`; `distribution_from_dict` reads them back."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PosePrior":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: A key is unknown or missing, or a value does not fit.
        """
        where = f"camera distribution {cls.kind!r}"
        names = [field.name for field in dataclasses.fields(cls)]
        _check_names(data, ["kind", *names], where)
        if data["yaw_zero"] not in get_args(YawZero):
            raise CheckpointError(f"yaw_zero of {where} is {quoted(data['yaw_zero'])}, not one of z, x")
        try:
            spreads = {name: _spread(data[name], f"{name} of {where}") for name in names if name != "yaw_zero"}
            return cls(**spreads, yaw_zero=data["yaw_zero"])
        except InputError as error:
            raise CheckpointError(f"{where}: {error}") from error

    def _spreads(self) -> tuple[Spread, ...]:
        return (
            self.yaw,
            self.pitch,
            self.fov_deg,
            self.radius,
            self.look_at_yaw,
            self.look_at_pitch,
            self.look_at_radius,
        )

    def _pose(self, numbers: "np.ndarray") -> "Pose":
        """Poses from the numbers of `_spreads`, [*b, 7]."""
        import numpy as np
        import torch

        from gen3d_tools.cameras.poses import Pose

        parameters = np.insert(numbers, 2, 0.0, axis=-1)  # there is no roll
        parameters[..., 1] = parameters[..., 1].clip(POLE_MARGIN, math.pi - POLE_MARGIN)
        return Pose.from_parameters(torch.from_numpy(parameters).float(), self.yaw_zero)


def _spread(value: Any, where: str) -> Spread:
    names = [field.name for field in dataclasses.fields(Spread)]
    _check_names(value, names, where)
    if value["shape"] not in get_args(Shape):
        raise CheckpointError(f"{where}: shape is {quoted(value['shape'])}, not one of {', '.join(get_args(Shape))}")
    return Spread(shape=value["shape"], **{name: _number(value[name], where) for name in names if name != "shape"})


def _check_names(data: Any, names: Sequence[str], where: str) -> None:
    if not isinstance(data, Mapping):
        raise CheckpointError(f"{where} is {type(data).__name__}, it must be a table")
    if unknown := sorted(set(map(str, data)) - set(names)):
        raise CheckpointError(f"unknown key {quoted(unknown[0])} in {where}")
    if missing := [name for name in names if name not in data]:
        raise CheckpointError(f"missing key {missing[0]!r} in {where}")


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise CheckpointError(f"{where} must hold finite numbers, got {quoted(value)}")
    return float(value)
