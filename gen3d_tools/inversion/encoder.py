"""The small network that looks at a photo first: which class, from where, roughly which latent.

It is trained on pictures of the same objects as the generator it is stored with (`examples/shapes/encoder.py`)
and answers in milliseconds what a search would need minutes for. Its feature maps are the perceptual
distance that needs no download, and it tells how familiar a picture is before anybody waits for a result.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.1  # of the leaky ReLUs
_MODE_REACH = 3  # bins either side of a peak that belong to its mode


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What the network is; stored with its weights."""

    class_names: tuple[str, ...]
    z_dim: int
    pitch_min_deg: float  # range of the pictures it was trained on
    pitch_max_deg: float
    image_size: int = 64  # pictures are brought to this side first
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels of the stages; each halves the picture
    yaw_bins: int = 72
    neck_channels: int = 64
    hidden: int = 256

    def __post_init__(self) -> None:
        smallest = self.image_size / 2 ** len(self.widths)
        if smallest != int(smallest) or smallest < 1:
            raise ValueError(f"image_size {self.image_size} cannot be halved {len(self.widths)} times")
        if not self.pitch_min_deg < self.pitch_max_deg:
            raise ValueError(f"need pitch_min_deg < pitch_max_deg, got {self.pitch_min_deg}, {self.pitch_max_deg}")
        if min(len(self.class_names), self.z_dim, self.yaw_bins, self.neck_channels, self.hidden, *self.widths) < 1:
            raise ValueError("every size must be at least 1")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the encoder makes of a batch of pictures."""

    class_logits: Float[Tensor, "b classes"]
    yaw_logits: Float[Tensor, "b bins"]
    """Over equal bins of -180 to 180 degrees. A symmetric object has several peaks."""

    pitch_deg: Float[Tensor, " b"]
    z: Float[Tensor, "b z_dim"]
    """Latent of root mean square 1, to be given to the generator's `map` with the class that was assumed."""

    framing: Float[Tensor, "b 4"]
    """How the object sits compared with the generator's own pictures: log of its magnification, shift to the right
    and down (in sides of the picture), clockwise roll (degrees)."""

    known_logit: Float[Tensor, " b"]
    """Above 0: more like the objects it was trained on than like anything else it was shown."""

    embedding: Float[Tensor, "b hidden"]
    """The summary all answers are read from."""

    features: tuple[Tensor, ...]
    """Feature maps of the stages, [b, channels, side, side], from fine to coarse."""

    @property
    def class_index(self) -> Int[Tensor, " b"]:
        """The most likely class."""
        return self.class_logits.argmax(dim=1)

    @property
    def yaw_deg(self) -> Float[Tensor, " b"]:
        """Centre of the most likely mode, degrees."""
        return self.yaw_modes(1)[0][:, 0]

    def yaw_modes(self, count: int) -> tuple[Float[Tensor, "b count"], Float[Tensor, "b count"]]:
        """Find the likeliest directions, so that a search can try each.

        A mode is a bin with its neighbours up to 15 degrees away; the next one is looked for outside them.

        Args:
            count: How many.

        Returns:
            Degrees in [-180, 180) and probabilities, likeliest first.
        """
        probability = self.yaw_logits.detach().softmax(dim=1)
        bins = probability.shape[1]
        offsets = torch.arange(-_MODE_REACH, _MODE_REACH + 1, device=probability.device)
        yaws, masses = [], []
        for _ in range(count):
            window = torch.stack([probability.roll(-int(k), dims=1) for k in offsets], dim=-1)  # [b, bins, offsets]
            best = window.sum(-1).argmax(dim=1)
            chosen = window.gather(1, best[:, None, None].expand(-1, 1, len(offsets)))[:, 0]
            masses.append(chosen.sum(dim=1))
            center = best + (chosen * offsets).sum(dim=1) / masses[-1].clamp_min(1e-9)
            yaws.append((center + 0.5) * (360 / bins) - 180)
            taken = (best[:, None] + offsets) % bins
            probability = probability.scatter(1, taken, 0.0)
        return (torch.stack(yaws, dim=1) + 180) % 360 - 180, torch.stack(masses, dim=1)


class _Unit(nn.Sequential):
    """Convolution, normalisation, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(_SLOPE),
        )


class _Stage(nn.Module):
    """Halve the picture, then refine it by two residual units."""

    def __init__(self, inputs: int, outputs: int, units: int) -> None:
        super().__init__()
        self.down = _Unit(inputs, outputs, kernel=4, stride=2) if inputs == 3 else _Unit(inputs, outputs, stride=2)
        self.refine = nn.ModuleList(_Unit(outputs, outputs) for _ in range(units))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for unit in self.refine:
            x = x + unit(x)
        return x


class PhotoEncoder(nn.Module):
    """Convolutional encoder with a head for the class and heads for pose and latent that assume a class.

    The same features mean different things in different classes (a hue is a roof's or an icing's), so the second
    group of heads is told which class to assume: the likeliest one, or the one the caller knows.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        channels = (3, *config.widths)
        units = [1, *([2] * (len(config.widths) - 1))]
        self.stages = nn.ModuleList(_Stage(a, b, n) for a, b, n in zip(channels, channels[1:], units, strict=False))
        side = config.image_size // 2 ** len(config.widths)
        classes = len(config.class_names)
        self.neck = nn.Conv2d(config.widths[-1], config.neck_channels, 1)
        self.summary = nn.Linear(config.neck_channels * side**2, config.hidden)
        self.class_head = nn.Linear(config.hidden, classes)
        self.known_head = nn.Linear(config.hidden, 1)
        self.assume = nn.Linear(config.hidden + classes, config.hidden)
        self.yaw_head = nn.Linear(config.hidden, config.yaw_bins)
        self.pitch_head = nn.Linear(config.hidden, 1)
        self.z_head = nn.Linear(config.hidden, config.z_dim)
        self.framing_head = nn.Linear(config.hidden, 4)

    def forward(self, images: Float[Tensor, "b 3 n n"], class_index: Int[Tensor, " b"] | None = None) -> Prediction:
        """Look at pictures.

        Args:
            images: RGB in [0, 1] on white, objects framed as in the generator's own pictures (small errors of
                scale, shift and roll are fine). Any size; differentiable.
            class_index: The classes that pose and latent are to be predicted for; None assumes the likeliest.
        """
        features = self.features(images)
        embedding = F.leaky_relu(self.summary(F.leaky_relu(self.neck(features[-1]), _SLOPE).flatten(1)), _SLOPE)
        class_logits = self.class_head(embedding)
        assumed = class_logits.argmax(dim=1) if class_index is None else class_index
        onehot = F.one_hot(assumed, len(self.config.class_names)).to(embedding)
        hidden = F.leaky_relu(self.assume(torch.cat([embedding, onehot], dim=1)), _SLOPE)
        z = self.z_head(hidden)
        middle = (self.config.pitch_max_deg + self.config.pitch_min_deg) / 2
        half = (self.config.pitch_max_deg - self.config.pitch_min_deg) / 2
        return Prediction(
            class_logits=class_logits,
            yaw_logits=self.yaw_head(hidden),
            pitch_deg=middle + half * self.pitch_head(hidden)[:, 0],
            z=z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt(),
            framing=self.framing_head(hidden) * hidden.new_tensor([0.25, 0.1, 0.1, 10.0]),
            known_logit=self.known_head(embedding)[:, 0],
            embedding=embedding,
            features=features,
        )

    def features(self, images: Float[Tensor, "b 3 n n"]) -> tuple[Tensor, ...]:
        """Compute the feature maps alone, from fine to coarse."""
        maps = [self._resized(images) * 2 - 1]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps[1:])

    def _resized(self, images: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b 3 m m"]:
        size = self.config.image_size
        if images.shape[-1] == size:
            return images
        if images.shape[-1] > size:
            return F.interpolate(images, size=(size, size), mode="area")
        return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
