"""What a recipe says, section by section. Published values and their sources stand in the TOML files beside this."""

from dataclasses import dataclass
from typing import Literal

from gen3d_tools.training.losses.adversarial import AdversarialLoss
from gen3d_tools.training.losses.density import DensityRegulariser
from gen3d_tools.training.losses.distillation import DistillationLoss
from gen3d_tools.training.patches import Grouping, PatchConfig

MirrorYaw = Literal["zero", "mean"]

__all__ = [
    "AugmentationSection",
    "CamerasSection",
    "DataSection",
    "DiscriminatorSection",
    "LossSection",
    "MirrorYaw",
    "OptimisationSection",
    "PatchConfig",
    "RunSection",
]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSection:
    """Who judges."""

    kind: Literal["patch", "dual", "image"] = "patch"
    channel_base: int = 32768
    channel_max: int = 512
    clamp: float | None = None  # of convolutions' outputs
    half_blocks: int = 0  # from the front, in half precision: see `half_precision`
    group: int = 4  # samples of a minibatch statistic
    grouping: Grouping = "strided"  # which ones; "neighbours": those of one patch, and as far as possible of one class
    modulation: int = 512  # width of the vector that a patch's place becomes; 0 = channels are not modulated by it
    table_width: int = 256  # of the table of a patch's numbers; 0 = none
    frequencies: int = 10  # sines and cosines of each of a patch's numbers
    label_has_patch: bool = True
    camera_conditioned: bool = False
    camera_raw: bool = False  # yaw and pitch themselves, instead of their sines and cosines
    camera_dropout: float = 0.0  # share of their features that is left out
    camera_noise: float = 0.0  # standard deviation of noise on angles, in standard deviations of the batch
    frozen: int = 0  # layers from the front that do not learn (freeze-D), to go on from a trained network
    views: int = 1  # pictures of each object, for "image"
    view_mode: Literal["mean", "pack"] = "mean"


@dataclass(frozen=True, kw_only=True)
class LossSection:
    """What is minimised. Weights of 0 leave a term out."""

    adversarial: AdversarialLoss = "non_saturating"
    logit_limit: float | None = None
    r1_gamma: float | Literal["auto"] = "auto"
    r1_every: int = 16
    style_mixing: float = 0.0  # probability that the later layers of a batch have other latents
    reuse_fakes: bool = False  # D judges the fakes that G has just learned from, and a step makes no others
    blur_sigma: float = 10.0  # pixels of the discriminator's inputs
    blur_kimg: float = 200.0
    render_start: int | None = None  # rays along a side at first, to become generator.render_resolution; None = at once
    render_kimg: float = 1000.0
    density_noise: float = 0.0  # standard deviation, added to raw densities at first
    density_noise_kimg: float = 5000.0
    distillation_weight: float = 0.0
    distillation: DistillationLoss = "l2"
    distillation_kimg: float = 100_000.0
    sparsity_weight: float = 0.0  # of the share of the box that is solid
    density_weight: float = 0.0
    density: DensityRegulariser = "l1"
    density_every: int = 4
    density_distance: float = 0.004  # world units


@dataclass(frozen=True, kw_only=True)
class CamerasSection:
    """Where fakes are seen from, and what the networks are told of it."""

    source: Literal["prior", "labels"] = "prior"
    emd_angles: float = 0.0
    emd_radius: float = 0.0
    emd_fov: float = 0.0
    emd_look_at: float = 0.0
    emd_samples: int = 64
    emd_kimg: float = 10_000.0
    prior_share: float = 0.0  # of fakes that the prior's cameras see, not the learned ones
    force_mean: float = 0.0
    force_mean_samples: int = 256
    slope_angles: float = 0.0
    slope_radius: float = 0.0
    slope_fov: float = 0.0
    slope_look_at: float = 0.0
    slope_samples: int = 256
    swap_final: float = 0.5  # how often the mapping network is told another sample's camera in the end
    swap_kimg: float = 1000.0
    identity_steps: int = 0  # of Adam before the first picture: camera generator and depth adaptor then change nothing
    depth_kimg: float = 10_000.0  # until the depth adaptor's deeper answers are preferred

    @property
    def emd(self) -> bool:
        """Whether the prior's spread is kept."""
        return any((self.emd_angles, self.emd_radius, self.emd_fov, self.emd_look_at))

    @property
    def slope(self) -> bool:
        """Whether slopes of the camera generator are kept near 1."""
        return any((self.slope_angles, self.slope_radius, self.slope_fov, self.slope_look_at))


@dataclass(frozen=True, kw_only=True)
class OptimisationSection:
    """How the networks move."""

    batch: int = 64  # real pictures of a step
    round: int = 8  # pictures that a process works on at a time
    g_lr: float = 0.0025
    d_lr: float = 0.002
    beta1: float = 0.0
    beta2: float = 0.99
    grad_clip: float | None = None  # largest norm of the generator's gradient
    ema_kimg: float = 20.0  # half-life of the average
    ema_ramp: float | None = 0.05


@dataclass(frozen=True, kw_only=True)
class AugmentationSection:
    """Adaptive discriminator augmentation (Karras et al. 2020, ADA)."""

    enabled: bool = False
    target: float = 0.6  # mean sign of real logits that is aimed at
    speed_kimg: float = 500.0  # thousands of pictures in which the strength may go from 0 to 1
    every: int = 4  # steps between adjustments
    mirror: bool = False


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """What of the pictures is used."""

    resolution: int = 256  # pictures of another size are resized to it
    mirror: bool = True
    mirror_yaw: MirrorYaw = "mean"  # what mirrored copies' yaws are mirrored at: 0, or the mean of all pictures
    classes: bool = True  # read the classes of dataset.json where it has some
    depth: bool = False
    features: str = "none"  # "none", "encoder", or a .npy or .safetensors file


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """How long, and what is written on the way."""

    kimg: float = 25_000.0
    processor_minutes: float | None = None  # of this process, all sessions together: fair where processors are shared
    seed: int = 0
    tick_kimg: float = 4.0  # between two lines of the log
    snapshot_kimg: float = 100.0
    sheet_kimg: float = 100.0
    score_kimg: float = 0.0  # between two measurements of FD-encoder; 0 = never
    score_samples: int = 512
