"""How a radiance field becomes an image: the settings in which the model families differ, as named values.

The renderer asks for these names and never for a family. The settings belong to how trained weights
want to be rendered, so a model stores them; a caller changes one with `dataclasses.replace`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.printable import quoted

Marcher = Literal["midpoint", "classical"]
Spacing = Literal["linear", "disparity"]
Jitter = Literal["outward", "intervals", "centered", "grid", "ends", "middles"]
Background = Literal["none", "grey", "white", "last"]
Importance = Literal["smoothed", "plain", "bare"]
CoarseUnit = Literal["world", "ray"]
DistanceRule = Literal["mean", "sum"]
MissedRays = Literal["largest-near", "largest-far", "background"]
PixelGrid = Literal["centers", "corners"]
LimitsAlong = Literal["ray", "axis"]


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How a radiance field becomes an image. Every length is in world units."""

    near: float | Literal["box"]  # distance from the camera where rays start; "box" = where they meet the field's box
    far: float | Literal["box"]  # ... and end
    coarse_samples: int = 48  # evenly spaced samples per ray
    fine_samples: int = 48  # importance samples per ray; 0 = one pass
    spacing: Spacing = "linear"  # coarse samples even in distance, or in 1 / distance
    # "outward": k/(S-1) plus up to one step, so the last sample may pass `far` (EG3D, 3DGP's mip marcher);
    # "intervals": each sample inside the interval between the midpoints around it (NeRF, EpiGRAF, 3DGP);
    # "centered": k/(S-1) give or take half a step, so the outermost may leave near..far (VolumeGAN, pi-GAN);
    # "grid": k/(S-1), whatever is drawn; "ends": the same, and fine samples at the shares i/(F-1) of the coarse
    # weights, both ends included (StyleNeRF); "middles": (k + 1/2)/S, whatever is drawn (TripoSR).
    jitter: Jitter = "outward"
    # "midpoint": neighbouring samples are averaged before the density activation (EG3D);
    # "classical": each sample stands for the interval behind it (NeRF eq. 3).
    marcher: Marcher = "midpoint"
    last_interval: float | None = None  # length of the interval behind the last sample; 1e10 closes the ray
    last_interval_end: float | None = None  # ... or the distance at which it ends (VolumeGAN's max_depth)
    # What shines through, in the field's colours 0..1. "grey" is zero for networks whose colours are in [-1, 1];
    # "last": the last sample takes all the transmittance that is left.
    background: Background = "none"
    last_in_coarse_pass: bool = False  # background "last" also shapes the coarse weights (3DGP)
    # "smoothed": coarse weights are max-pooled, averaged and raised by 0.01 (EG3D); "plain": raised by 1e-5;
    # "bare": as they are (StyleNeRF). Importance sampling itself raises all by 1e-5.
    importance: Importance = "smoothed"
    coarse_unit: CoarseUnit = "world"  # coarse weights with intervals in world units or in shares of the ray (3DGP)
    distance_rule: DistanceRule = "mean"  # a pixel's distance: sum(w t) / sum(w), clamped (EG3D), or sum(w t) (3DGP)
    # With "box" limits, in exact mode: the `far` that a ray beside the box gets; or it sees the background, as rays do
    # whose way through the box is shorter than 0.01 (TripoSR).
    missed_rays: MissedRays = "largest-near"
    pixel_grid: PixelGrid = "centers"  # rays through pixel centres, or the outermost through the picture's edges
    # near and far as distances along each ray, or along the line from the camera to the origin, so that rays begin and
    # end on planes (StyleNeRF, whose cameras look at the origin: depth along the optical axis).
    limits_along: LimitsAlong = "ray"
    # In exact mode, where there is one pass: every ray's intervals are even shares of this length, however long
    # its way through the box is (TripoSR); None: they have their own lengths.
    ray_length: float | None = None
    box_share: float = 1.0  # in exact mode: rays end at a box of this share of the field's (TripoSR: 0.999)

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        self._check_limits()
        _check_choices(self.__dict__)
        if self.coarse_samples < 2 or self.fine_samples < 0:
            raise InputError(
                f"need coarse_samples >= 2 and fine_samples >= 0, got {self.coarse_samples} and {self.fine_samples}"
            )
        if self.fine_samples and self.coarse_samples < 4:
            raise InputError(f"importance sampling needs coarse_samples >= 4, got {quoted(self.coarse_samples)}")
        if self.background == "last" and self.marcher != "classical":
            raise InputError(f'background "last" needs the classical marcher, got {quoted(self.marcher)}')
        if self.last_interval is not None and not self.last_interval > 0:
            raise InputError(f"last_interval is {quoted(self.last_interval)}, it must be positive or None")
        if self.last_interval is not None and self.last_interval_end is not None:
            raise InputError("last_interval and last_interval_end are both given; one of them must be None")
        if not (self.ray_length is None or self.ray_length > 0) or not 0 < self.box_share <= 1:
            raise InputError(
                f"need ray_length above 0 and box_share in 0..1, got {self.ray_length} and {self.box_share}"
            )

    def _check_limits(self) -> None:
        if isinstance(self.near, str) or isinstance(self.far, str):
            if (self.near, self.far) != ("box", "box"):
                limits = f"near is {quoted(self.near)} and far is {quoted(self.far)}"
                raise InputError(f'{limits}: need two numbers, or "box" for both')
            if self.spacing == "disparity":
                raise InputError('spacing "disparity" needs numbers for near and far, not "box"')
            return
        if not 0 <= self.near < self.far < float("inf"):
            raise InputError(f"need 0 <= near < far, got near={quoted(self.near)}, far={quoted(self.far)}")
        if self.spacing == "disparity" and self.near == 0:
            raise InputError('spacing "disparity" needs near > 0, got 0')

    @property
    def closed(self) -> bool:
        """Whether there is an interval behind the last sample."""
        return self.last_interval is not None or self.last_interval_end is not None

    @property
    def samples(self) -> int:
        """Samples per ray in the final pass."""
        return self.coarse_samples + self.fine_samples

    def to_dict(self) -> dict[str, Any]:
        """Give every setting as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RenderConfig":
        """Read what `to_dict` wrote; every key must be there and no other, save those that older models lack.

        Raises:
            CheckpointError: A key is unknown or missing, or a value does not fit.
        """
        names = {field.name for field in fields(cls)}
        values = {**_LATER_SETTINGS, **values}
        unknown, missing = sorted(set(values) - names), sorted(names - set(values))
        if unknown or missing:
            found = [f"{what} {', '.join(keys)}" for what, keys in (("unknown", unknown), ("missing", missing)) if keys]
            raise CheckpointError(f"render settings: {' and '.join(found)}; the model folder does not fit this version")
        try:
            _check_types(values)
            _check_choices(values)
            return cls(**values)
        except InputError as error:
            raise CheckpointError(f"render settings: {error}") from error


_LATER_SETTINGS: dict[str, Any] = {
    "last_interval_end": None,
    "limits_along": "ray",
    "ray_length": None,
    "box_share": 1.0,
}
"""Settings that model folders of earlier versions lack, and what they mean there."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "spacing": get_args(Spacing),
    "jitter": get_args(Jitter),
    "marcher": get_args(Marcher),
    "background": get_args(Background),
    "importance": get_args(Importance),
    "coarse_unit": get_args(CoarseUnit),
    "distance_rule": get_args(DistanceRule),
    "missed_rays": get_args(MissedRays),
    "pixel_grid": get_args(PixelGrid),
    "limits_along": get_args(LimitsAlong),
}


def _check_choices(values: Mapping[str, Any]) -> None:
    """Refuse a name that is not one of the choices."""
    for name, choices in _CHOICES.items():
        if values[name] not in choices:
            raise InputError(f"{name} is {quoted(values[name])}, it must be one of {', '.join(choices)}")


def _check_types(values: Mapping[str, Any]) -> None:
    """Refuse stored values of the wrong kind, such as text where a number belongs."""
    kinds_by_name: dict[str, tuple[type, ...]] = {
        "near": (int, float),
        "far": (int, float),
        "coarse_samples": (int,),
        "fine_samples": (int,),
        "last_interval": (int, float, type(None)),
        "last_interval_end": (int, float, type(None)),
        "last_in_coarse_pass": (bool,),
        "ray_length": (int, float, type(None)),
        "box_share": (int, float),
    }
    for name, kinds in kinds_by_name.items():
        value = values[name]
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not fits and not (name in ("near", "far") and value == "box"):
            raise InputError(f"{name} is {quoted(value)}, it must be {' or '.join(kind.__name__ for kind in kinds)}")
