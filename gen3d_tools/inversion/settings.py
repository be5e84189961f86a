"""Every choice of an inversion as a named value, by stage.

Letters of the published procedure (Roich et al., "Pivotal tuning for latent-based editing of real images", 2021) are
named in the comments. Where this toolkit's default differs from the published one, the comment says so.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_args

from gen3d_tools.errors import CheckpointError, InputError

Space = Literal["w", "w+"]
Basis = Literal["spread", "w"]
Tune = Literal["all", "decoder", "late"]
Conditioning = Literal["front", "photo"]


class _Checked:
    """Settings whose numbers are finite and not negative."""

    def __post_init__(self) -> None:
        """Refuse settings that no inversion can have."""
        for one in fields(self):  # type: ignore[arg-type]
            value, least = getattr(self, one.name), one.metadata.get("least", 0)
            below = one.metadata.get("below", math.inf)
            if isinstance(value, int | float) and not least <= value < below:
                name = _SHORT_NAMES.get((type(self), one.name), one.name)
                wanted = "at least 1" if least else f"0 or more and {'below 1' if below == 1 else 'finite'}"
                raise InputError(f"{name} is {value}, it must be {wanted}")


def _positive(default: int) -> Any:
    """A setting of at least 1."""
    return field(default=default, metadata={"least": 1})


def _forgetting(default: float) -> Any:
    """How slowly a moment of Adam forgets, below 1."""
    return field(default=default, metadata={"below": 1})


@dataclass(frozen=True, kw_only=True)
class SearchSettings(_Checked):
    """Short starts from several classes and cameras, of which the best goes on."""

    starts: int = _positive(6)  # pairs of class and camera to try; 1 = trust the first pair
    # Latents around the encoder's that are looked at; a class starts from the best. Two seeds each of six photos came
    # to 32.9 dB before tuning with 8, .4 dB apart, to 32.5 dB with 0, .85 dB apart.
    nearby: int = 8
    lr: float = 0.15  # learning rate of the latent, in standard deviations
    camera_lr: float = 0.15  # ... and of the camera, relative to it
    steps: int = 12
    resolution: int = _positive(32)
    keep: int = _positive(3)  # pairs that are refined further before one is chosen ...
    # ... if they are worse than the best by no more than this, in units of the loss. In each of 13 photos of artists'
    # models the first after `steps` was the first after `keep_steps`, whatever it led by.
    margin: float = 0.03
    keep_steps: int = 24


@dataclass(frozen=True, kw_only=True)
class StageOneSettings(_Checked):
    """Stage one: the latent and the camera."""

    steps: int = 28  # published: 450 (PTI), 500 (its EG3D port), 400 (with pose optimisation)
    # "w+": one latent per layer. In two photos the input view was at 32.7 and 34.7 dB with it, novel views at 22.9 and
    # 29.9; with "w" 30.3 and 34.0, and 24.8 and 31.8.
    space: Space = "w"
    # What the optimiser moves: "spread": coordinates along the principal axes of the class's own latents, in standard
    # deviations, so that a step is likely in every direction; "w": the latent itself, as published.
    basis: Basis = "spread"
    lr: float = 0.1  # peak learning rate, in units of the basis; published: 0.01 with basis "w"
    lr_warmup: float = 0.05  # share of the steps with a linear rise
    lr_cooldown: float = 0.8  # published: 0.25; share of the steps with a cosine fall
    # Adam's, published: 0.9 and 0.999, which remember for longer than there are steps. In eight photos 36 steps with
    # these came to 32.8 dB, 60 steps with the published ones to 32.4 dB, 40 to 31.1 dB.
    beta1: float = _forgetting(0.5)
    beta2: float = _forgetting(0.95)
    w_samples: int = _positive(600)  # latents behind mean and spread, numpy's RandomState(123)
    w_noise: float = 0.0  # published: 0.05; latent noise in units of the scalar w_std ...
    w_noise_until: float = 0.75  # ... fading out by this share of the steps
    prior_weight: float = 0.002  # times the mean squared coordinate: likely latents first; not in the published loss
    optimise_noise: bool = True  # noise maps of the planes; they are discarded afterwards, as published
    noise_lr: float = 0.01  # their peak learning rate, as published
    noise_regularisation: float = 1e5
    # Camera on which latents are conditioned, for generators that are: "front": the default one, as practice recommends
    # (with the photo's own, the latent knows where it is seen from and other views bend); "photo": the photo's camera.
    conditioning: Conditioning = "front"
    # Rays per step and photo: every second pixel each way. Three seeds each of seven photos were .6 dB apart with these
    # and 28 steps, .9 dB with every third pixel and 36 steps, which take a tenth less time; the mean gains .2 dB.
    rays: int = _positive(4096)
    stop_distance: float = 0.0  # stop once the distance is below this
    camera_lr: float = 0.06  # learning rate of radians and shares, relative to lr; 0 keeps the camera
    camera_only: float = 0.0  # share of the steps that move the camera alone
    camera_prior: float = 0.02  # times the squared offsets in their typical sizes: the start is likely

    def __post_init__(self) -> None:
        """Refuse settings that no inversion can have."""
        if self.space not in get_args(Space):
            raise InputError(f"space is {self.space!r}, it must be w or w+")
        if self.basis not in get_args(Basis):
            raise InputError(f"basis is {self.basis!r}, it must be spread or w")
        if self.conditioning not in get_args(Conditioning):
            raise InputError(f"conditioning is {self.conditioning!r}, it must be front or photo")
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class DistanceSettings(_Checked):
    """The distance to the photo, both stages."""

    pixel_weight: float = 0.25  # mean squared difference, published for stage two with images in [-1, 1]
    pyramid_weight: float = 1.0  # mean absolute difference on a pyramid of three levels
    ssim_weight: float = 0.3
    mask_weight: float = 0.3  # mean absolute difference of opacity and mask, where the photo has a mask
    perceptual_weight: float = 1.0  # of the perceptual distance, where there is one
    raw_weight: float = 1.0  # of the picture before a super-resolution, beside the one behind it


@dataclass(frozen=True, kw_only=True)
class LocalitySettings(_Checked):
    """What keeps tuning local: density and colour at random points stay; pictures of latents nearby may, too."""

    # Field form; not in the published loss. Around a camera that is a degree wrong, tuning bends the object. In four
    # hard photos novel views changed by 0.00 to +1.28 dB with 1, by -0.01 to +0.85 dB with 3.
    weight: float = 2.0
    points: int = 2048
    image_weight: float = 0.0  # of the published form: pictures of latents nearby stay; published: 0 (off)
    alpha: float = 30.0  # their distance from the pivot
    psi: float = 0.5
    pixel_weight: float = 0.1  # lambda_L2
    perceptual_weight: float = 0.1  # lambda_LPIPS
    samples: int = 1
    interval: int = 1  # steps from one to the next


@dataclass(frozen=True, kw_only=True)
class FarSettings(_Checked):
    """How stage two goes on where the pivot is far from the photo: the generator has not learned such things.

    Then what the photo shows is worth more than what the generator knows. Pivots between `near_psnr` and `far_psnr` are
    tuned in between.
    """

    near_psnr: float = 24.0  # pivots at least this close to the photo, dB, are tuned as `StageTwoSettings` say
    far_psnr: float = 19.0  # those that are no closer, as follows
    # Times as many steps; the others by their names in `StageTwoSettings`. Of eight models of artists, from the same
    # pivots, with 4 times and lr 3e-3 the photo's silhouette came to .831, 20.6 dB, other sides to .608; with 8 times
    # to .855, 22.3 and .615, with 6e-3 too to .872, 24.4 and .617.
    stretch: float = 8.0
    lr: float = 6e-3
    locality_weight: float = 0.5
    growth_weight: float = 0.2
    recolor: float = 1.0
    mirror_weight: float = 1.8


@dataclass(frozen=True, kw_only=True)
class StageTwoSettings(_Checked):
    """Stage two: the generator."""

    steps: int = 18  # published: 350
    lr: float = 1e-3  # published: 3e-4; with 8e-4 a photo came to 30.8 dB instead of 31.3, its seeds .6 dB apart
    lr_cooldown: float = 0.5  # share of the steps in which it falls to 0; published: none
    # The result is the average of the weights after every step, each weighed by this power of its number (Shamir &
    # Zhang 2013); 0: the last weights alone, as published. A step sees some of the rays, and the last weights fit
    # those: in ten hard photos novel views changed by -0.33 to +1.85 dB with them and lr 1e-3, by +0.02 to +1.88 dB
    # with averages and 5e-4.
    average: float = 3.0
    # From one pivot three seeds of a photo came to 31.3 dB, .03 dB apart; with every third pixel and 24 steps of 8e-4,
    # which take as long, to 29.9, 31.1 and 31.5.
    rays: int = _positive(4096)
    stop_perceptual: float = 0.0  # stop before the update once the perceptual distance is below; published: 0.06
    stop_psnr: float = 36.0  # stop once the photo is explained this well, dB; 0 = never
    tune: Tune = "all"  # which weights move; published: all
    locality: LocalitySettings = LocalitySettings()
    growth_weight: float = 0.0  # of what the mask shows and the object lacks; not in the published loss
    recolor: float = 0.0  # how far the locality's colours go from the pivot's, 0, to the photo's, 1
    mirror_weight: float = 0.0  # of silhouettes that symmetry implies for other sides; not in the published loss
    far: FarSettings = FarSettings()

    def __post_init__(self) -> None:
        """Refuse settings that no inversion can have."""
        if self.tune not in get_args(Tune):
            raise InputError(f"tune is {self.tune!r}, it must be all, decoder or late")
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class RenderBudget(_Checked):
    """Differentiable rendering, both stages."""

    coarse_samples: int = 32  # per ray at most; a generator's own settings may ask for fewer
    fine_samples: int = 16
    # Rounds of fine samples. With one, pictures of thin onsets are some 30 dB from the truth, and tuning fits that
    # error: in four hard photos novel views changed by -0.16 to +0.09 dB in stage two, with two by -0.01 to +0.85 dB.
    fine_rounds: int = 2
    weight_threshold: float = 1e-4  # samples that stop less light carry no gradient
    softness: float = 0.08  # width of the density's onset in pixels; 0 keeps the field's own


@dataclass(frozen=True, kw_only=True)
class InversionSettings(_Checked):
    """How an inversion works. The defaults are those of the preset "balanced"."""

    seed: int = 0  # random seed
    resolution: int = _positive(128)  # largest side at which pictures are compared, without a super-resolution
    search: SearchSettings = SearchSettings()
    stage_one: StageOneSettings = StageOneSettings()
    stage_two: StageTwoSettings = StageTwoSettings()
    distance: DistanceSettings = DistanceSettings()
    rendering: RenderBudget = RenderBudget()
    checkpoint_seconds: float = 5.0  # at most this much work is lost

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.stage_one.steps + self.stage_two.steps

    def with_steps(self, steps: int) -> "InversionSettings":
        """Share out another number of steps between the stages in the same proportion; fewer shorten the search too.

        Whoever asks for fewer wants to wait less, and the search is most of what is left. More do not lengthen it. As
        many are taken as are asked for, also where the pivot is far from the photo.
        """
        if steps < 2:
            raise InputError(f"an inversion needs at least 2 steps, one per stage, got {steps}")
        first = min(max(round(steps * self.stage_one.steps / max(self.steps, 1)), 1), steps - 1)
        share = min(steps / max(self.steps, 1), 1)
        names = ("steps", "keep_steps")
        search = {f"search_{name}": math.ceil(getattr(self.search, name) * share) for name in names}
        return self.changed(steps1=first, steps2=steps - first, far_stretch=1.0, **search)

    def for_pivot(self, psnr: float) -> "InversionSettings":
        """Give the settings with which stage two tunes around a pivot that explains the photo this well, dB."""
        two, far = self.stage_two, self.stage_two.far
        share = (far.near_psnr - psnr) / max(far.near_psnr - far.far_psnr, 1e-9)
        share = min(max(share, 0.0), 1.0)

        def between(near: float, distant: float) -> float:
            return near + share * (distant - near)

        return self.changed(
            steps2=round(two.steps * between(1.0, max(1.0, far.stretch))),
            lr2=between(two.lr, max(two.lr, far.lr)),
            locality_weight=between(two.locality.weight, min(two.locality.weight, far.locality_weight)),
            growth=between(two.growth_weight, max(two.growth_weight, far.growth_weight)),
            recolor=between(two.recolor, max(two.recolor, far.recolor)),
            mirror=between(two.mirror_weight, max(two.mirror_weight, far.mirror_weight)),
        )

    def changed(self, **values: Any) -> "InversionSettings":
        """Change settings by their short names: those of this table, and `steps1`, `lr2` and the like (`SHORT_NAMES`).

        Raises:
            InputError: There is no such setting, or a value does not fit.
        """
        changed = self
        for name, value in values.items():
            path = SHORT_NAMES.get(name)
            if path is None:
                raise InputError(f"there is no setting {name}; they are {', '.join(SHORT_NAMES)}")
            changed = _replaced(changed, path, value)
        return changed

    def to_dict(self) -> dict[str, Any]:
        """Give every setting as JSON values, by stage."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "InversionSettings":
        """Read what `to_dict` wrote, also the flat table of version 0.1; every key must be there and no other.

        Raises:
            CheckpointError: A key is unknown or missing, or a value does not fit.
        """
        try:
            if "stage_one" not in values:
                return cls().changed(**_completed(values, SHORT_NAMES))
            made: InversionSettings = _from_table(cls, values)
            return made
        except (InputError, TypeError) as error:
            raise CheckpointError(f"inversion settings: {error}") from error


def _from_table(kind: type[Any], values: Mapping[str, Any]) -> Any:
    defaults = kind()
    return kind(
        **{
            name: _from_table(type(getattr(defaults, name)), value) if is_dataclass(getattr(defaults, name)) else value
            for name, value in _completed(values, [one.name for one in fields(kind)]).items()
        }
    )


_EVERY = 1e9  # a margin that nothing is beyond
_THEN = dict.fromkeys(("nearby", "search_nearby", "mirror_weight", "far_mirror"), 0.0)
_THEN |= {"beta1": 0.9, "beta2": 0.999, "far_stretch": 2.0, "far_lr": 3e-3, "margin": _EVERY, "search_margin": _EVERY}
"""What was so where a table lacks it, other than by default."""

_LATER = frozenset(_THEN) | frozenset(
    {"conditioning", "tune", "far", "growth_weight", "growth", "recolor", "mirror", "near_psnr", "far_psnr"}
    | {f"far_{name}" for name in ("stretch", "lr", "locality", "growth", "recolor", "mirror")}
)
"""Settings that tables of older versions lack; they have their defaults there, or what `_THEN` says."""


def _completed(values: Mapping[str, Any], names: Any) -> dict[str, Any]:
    """Give a table with what older versions had not yet."""
    if not isinstance(values, Mapping):
        raise TypeError("a table of settings is missing")
    wrong = sorted(one for one in set(values) ^ set(names) if one in values or one not in _LATER)
    if wrong:
        raise InputError(f"{', '.join(wrong)} unknown or missing; from another version?")
    return {**{name: value for name, value in _THEN.items() if name in names}, **values}


def _replaced(settings: Any, path: tuple[str, ...], value: Any) -> Any:
    """Give the same settings but for one."""
    name, *rest = path
    return replace(settings, **{name: _replaced(getattr(settings, name), tuple(rest), value) if rest else value})


_LOCALITY, _FAR = ("stage_two", "locality"), ("stage_two", "far")
SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "seed": ("seed",),
    "resolution": ("resolution",),
    "checkpoint_seconds": ("checkpoint_seconds",),
    **{f"search_{one.name}": ("search", one.name) for one in fields(SearchSettings)},
    **{f"{name}1": ("stage_one", name) for name in ("steps", "lr", "rays")},
    **{f"lr1_{name}": ("stage_one", f"lr_{name}") for name in ("warmup", "cooldown")},
    "stop1": ("stage_one", "stop_distance"),
    **{
        one.name: ("stage_one", one.name)
        for one in fields(StageOneSettings)
        if one.name not in ("steps", "lr", "rays", "lr_warmup", "lr_cooldown", "stop_distance")
    },
    **{f"{name}2": ("stage_two", name) for name in ("steps", "lr", "average", "rays")},
    "lr2_cooldown": ("stage_two", "lr_cooldown"),
    "tune": ("stage_two", "tune"),
    "growth": ("stage_two", "growth_weight"),
    "recolor": ("stage_two", "recolor"),
    "mirror": ("stage_two", "mirror_weight"),
    "stop2_perceptual": ("stage_two", "stop_perceptual"),
    "stop2_psnr": ("stage_two", "stop_psnr"),
    **{f"locality_{name}": (*_LOCALITY, name) for name in ("weight", "points", "alpha", "psi", "samples", "interval")},
    "locality_images": (*_LOCALITY, "image_weight"),
    "locality_pixel": (*_LOCALITY, "pixel_weight"),
    "locality_perceptual": (*_LOCALITY, "perceptual_weight"),
    **{name: (*_FAR, name) for name in ("near_psnr", "far_psnr")},
    **{f"far_{name}": (*_FAR, name) for name in ("stretch", "lr", "recolor")},
    **{f"far_{name}": (*_FAR, f"{name}_weight") for name in ("locality", "growth", "mirror")},
    **{one.name: ("distance", one.name) for one in fields(DistanceSettings)},
    **{one.name: ("rendering", one.name) for one in fields(RenderBudget)},
}
"""Every setting by one name: those of version 0.1, whose table was flat; to the way through the tables."""

_TABLES: dict[tuple[str, ...], type] = {
    (): InversionSettings,
    ("search",): SearchSettings,
    ("stage_one",): StageOneSettings,
    ("stage_two",): StageTwoSettings,
    _LOCALITY: LocalitySettings,
    _FAR: FarSettings,
    ("distance",): DistanceSettings,
    ("rendering",): RenderBudget,
}
_SHORT_NAMES = {(_TABLES[path[:-1]], path[-1]): name for name, path in SHORT_NAMES.items()}
