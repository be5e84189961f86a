"""Every choice of an inversion as a named value, and three sets of them that work.

Letters of the published procedure (Roich et al., "Pivotal tuning for latent-based editing of real images", 2021) are
named in the comments. Where this toolkit's default differs from the published one, the comment says so.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from gen3d_tools.errors import CheckpointError, InputError

Space = Literal["w", "w+"]
Basis = Literal["spread", "w"]
PresetName = Literal["fast", "balanced", "best"]


@dataclass(frozen=True, kw_only=True)
class InversionSettings:
    """How an inversion works. The defaults are those of the preset "balanced"."""

    seed: int = 0  # of every random number
    resolution: int = 128  # largest side at which pictures are compared, for fields without super-resolution

    # Stage one: the latent and the camera.
    steps1: int = 60  # published: 450 (PTI), 500 (its EG3D port), 400 (with pose optimisation)
    # "w+": one latent per layer. In two photos the input view was at 32.7 and 34.7 dB with it, novel views at 22.9 and
    # 29.9; with "w" 30.3 and 34.0, and 24.8 and 31.8.
    space: Space = "w"
    # What the optimiser moves: "spread": coordinates along the principal axes of the class's own latents, in standard
    # deviations, so that a step is likely in every direction; "w": the latent itself, as published.
    basis: Basis = "spread"
    lr1: float = 0.1  # peak learning rate, in units of the basis; published: 0.01 with basis "w"
    lr1_warmup: float = 0.05  # share of the steps with a linear rise
    lr1_cooldown: float = 0.5  # published: 0.25; share of the steps with a cosine fall
    w_samples: int = 600  # latents behind mean and spread, numpy's RandomState(123)
    w_noise: float = 0.0  # published: 0.05; latent noise in units of the scalar w_std ...
    w_noise_until: float = 0.75  # ... fading out by this share of the steps
    prior_weight: float = 0.002  # times the mean squared coordinate: likely latents first; not in the published loss
    optimise_noise: bool = True  # noise maps of the planes; they are discarded afterwards, as published
    noise_lr: float = 0.01  # their peak learning rate, as published
    noise_regularisation: float = 1e5
    rays1: int = 1800  # rays per step and photo
    stop1: float = 0.0  # stop once the distance is below this

    # The camera.
    camera_lr: float = 0.06  # learning rate of radians and shares, relative to lr1; 0 keeps the camera
    camera_only: float = 0.0  # share of the steps that move the camera alone
    camera_prior: float = 0.02  # times the squared offsets in their typical sizes: the start is likely
    search_starts: int = 6  # pairs of class and camera to try; 1 = trust the first
    search_lr: float = 0.15  # learning rate of the latent there, in standard deviations
    search_camera_lr: float = 0.15  # ... and of the camera, relative to it
    search_steps: int = 12
    search_resolution: int = 32
    search_keep: int = 3  # pairs that are refined further before one is chosen
    search_keep_steps: int = 24

    # The distance to the photo, both stages.
    pixel_weight: float = 0.25  # mean squared difference, published for stage two with images in [-1, 1]
    pyramid_weight: float = 1.0  # mean absolute difference on a pyramid of three levels
    ssim_weight: float = 0.3
    mask_weight: float = 0.3  # mean absolute difference of opacity and mask, where the photo has a mask
    perceptual_weight: float = 1.0  # of the perceptual distance, where there is one
    raw_weight: float = 1.0  # of the picture before a super-resolution, beside the one behind it

    # Stage two: the generator.
    steps2: int = 50  # published: 350
    lr2: float = 5e-4  # published: 3e-4
    lr2_cooldown: float = 0.5  # share of the steps in which it falls to 0; published: none
    # The result is the average of the weights after every step, each weighed by this power of its number (Shamir &
    # Zhang 2013); 0: the last weights alone, as published. A step sees some of the rays, and the last weights fit
    # those: in ten hard photos novel views changed by -0.33 to +1.85 dB with them and lr2 1e-3, by +0.02 to +1.88 dB
    # with averages and this lr2.
    average2: float = 3.0
    rays2: int = 1800
    stop2_perceptual: float = 0.0  # stop before the update once the perceptual distance is below; published: 0.06
    stop2_psnr: float = 36.0  # stop once the photo is explained this well, dB; 0 = never
    # Field form: density and colour at random points stay; not in the published loss. Around a camera that is a degree
    # wrong, tuning bends the object. In four hard photos novel views changed by 0.00 to +1.28 dB with 1, by -0.01 to
    # +0.85 dB with 3.
    locality_weight: float = 2.0
    locality_points: int = 4096
    locality_images: float = 0.0  # weight of the published form: pictures of latents nearby stay; published: 0 (off)
    locality_alpha: float = 30.0  # their distance from the pivot
    locality_psi: float = 0.5
    locality_pixel: float = 0.1  # lambda_L2
    locality_perceptual: float = 0.1  # lambda_LPIPS
    locality_samples: int = 1
    locality_interval: int = 1  # steps from one to the next

    # Differentiable rendering.
    coarse_samples: int = 32  # per ray at most; a generator's own settings may ask for fewer
    fine_samples: int = 16
    # Rounds of fine samples. With one, pictures of thin onsets are some 30 dB from the truth, and tuning fits that
    # error: in four hard photos novel views changed by -0.16 to +0.09 dB in stage two, with two by -0.01 to +0.85 dB.
    fine_rounds: int = 2
    weight_threshold: float = 1e-4  # samples that stop less light carry no gradient
    softness: float = 0.08  # width of the density's onset in pixels; 0 keeps the field's own

    checkpoint_seconds: float = 5.0  # at most this much work is lost

    def __post_init__(self) -> None:
        """Refuse settings that no inversion can have."""
        if self.space not in get_args(Space):
            raise InputError(f"space is {self.space!r}, it must be w or w+")
        if self.basis not in get_args(Basis):
            raise InputError(f"basis is {self.basis!r}, it must be spread or w")
        for name in ("resolution", "w_samples", "rays1", "rays2", "search_starts", "search_resolution", "search_keep"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, it must be at least 1")
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and not 0 <= value < float("inf"):
                raise InputError(f"{one.name} is {value}, it must be 0 or more and finite")

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.steps1 + self.steps2

    def with_steps(self, steps: int) -> "InversionSettings":
        """Share out another number of steps between the stages in the same proportion."""
        if steps < 2:
            raise InputError(f"an inversion needs at least 2 steps, one per stage, got {steps}")
        first = min(max(round(steps * self.steps1 / max(self.steps, 1)), 1), steps - 1)
        return replace(self, steps1=first, steps2=steps - first)

    def to_dict(self) -> dict[str, Any]:
        """Give every setting as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "InversionSettings":
        """Read what `to_dict` wrote; every key must be there and no other.

        Raises:
            CheckpointError: A key is unknown or missing, or a value does not fit.
        """
        names = {one.name for one in fields(cls)}
        wrong = sorted(set(values) ^ names)
        if wrong:
            raise CheckpointError(f"inversion settings: {', '.join(wrong)} unknown or missing; from another version?")
        try:
            return cls(**values)
        except (InputError, TypeError) as error:
            raise CheckpointError(f"inversion settings: {error}") from error


PRESETS: dict[PresetName, InversionSettings] = {
    # Few steps do not make up for what large ones break: novel views of three photos changed by -0.02 to +0.04 dB with
    # this lr2 (before averaging), those of two of them by -0.5 and +0.1 dB with 1e-3.
    "fast": InversionSettings(steps1=40, steps2=24, lr2=3e-4, rays1=1200, rays2=1200, search_starts=3, search_keep=1),
    "balanced": InversionSettings(),
    # In two hard photos novel views were at 28.3 and 29.6 dB, by "balanced" at 25.9 and 24.8; it takes some 250 s of
    # one processor core, "balanced" 22 s.
    "best": InversionSettings(
        steps1=160, steps2=200, rays1=4096, rays2=4096, coarse_samples=64, fine_samples=48, stop2_psnr=40.0
    ),
}


def preset(name: str) -> InversionSettings:
    """Give a preset by its name.

    Raises:
        InputError: There is no such preset.
    """
    for known, settings in PRESETS.items():
        if known == name:
            return settings
    raise InputError(f"there is no preset {name!r}; choose from {', '.join(PRESETS)}")
