"""The small network that looks at a photo first: which class, from where, roughly which latent.

It is trained on pictures of the same objects as the generator it is stored with (`examples/shapes/encoder.py`)
and answers in milliseconds what a search would need minutes for. Its feature maps are the perceptual
distance that needs no download, and it tells how familiar a picture is before anybody waits for a result.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.checkpoints.native import ENCODER_NAME, check_tensors, open_tensors, tensors_of
from gen3d_tools.errors import CheckpointError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.source import ModelConfig, find_source, model_config
from gen3d_tools.perception.out_of_distribution import OutOfDistributionScore
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.printable import listed, printable, quoted

_SLOPE = 0.1  # of the leaky ReLUs
_RANK = 96  # dimensions in which familiarity is judged
_FRAMING_UNITS = (0.25, 0.1, 0.1, 10.0)  # log magnification, shifts in sides, degrees of roll
_FORMAT, _VERSION = "gen3d-tools-encoder", "1"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(NetworkConfig):
    """What the network is; stored with its weights."""

    later: ClassVar[tuple[str, ...]] = ("fov_min_deg", "fov_max_deg")

    class_names: tuple[str, ...]
    z_dim: int
    pitch_min_deg: float  # range of the pictures it was trained on
    pitch_max_deg: float
    fov_min_deg: float | None = None  # range of vertical fields of view, where the network tells them
    fov_max_deg: float | None = None
    image_size: int = 64  # pictures are brought to this side first
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels of the stages; each halves the picture
    refine_blocks: tuple[int, ...] = (1, 2, 2, 1)  # residual convolutions of each stage
    yaw_bins: int = 72
    neck_channels: int = 64
    hidden: int = 256

    def __post_init__(self) -> None:
        smallest = self.image_size / 2 ** len(self.widths)
        if smallest != int(smallest) or smallest < 1:
            raise ValueError(f"image_size {self.image_size} cannot be halved {len(self.widths)} times")
        if len(self.refine_blocks) != len(self.widths):
            raise ValueError(f"need one entry per stage, got {len(self.refine_blocks)} for {len(self.widths)} widths")
        if not self.pitch_min_deg < self.pitch_max_deg:
            raise ValueError(f"need pitch_min_deg < pitch_max_deg, got {self.pitch_min_deg}, {self.pitch_max_deg}")
        if (self.fov_min_deg is None) != (self.fov_max_deg is None):
            raise ValueError(f"need fov_min_deg and fov_max_deg or neither, got {self.fov_min_deg}, {self.fov_max_deg}")
        if self.fov_min_deg is not None and not 0 < self.fov_min_deg < (self.fov_max_deg or 0) < 180:
            raise ValueError(f"need 0 < fov_min_deg < fov_max_deg < 180, got {self.fov_min_deg}, {self.fov_max_deg}")
        if min(len(self.class_names), self.z_dim, self.yaw_bins, self.neck_channels, self.hidden, *self.widths) < 1:
            raise ValueError("every size must be at least 1")


class _Unit(nn.Sequential):
    """Convolution, normalisation, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(_SLOPE),
        )


class _Stage(nn.Module):
    """Halve the picture, then refine it by residual units."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.down = _Unit(inputs, outputs, kernel=4, stride=2) if inputs == 3 else _Unit(inputs, outputs, stride=2)
        self.refine = nn.ModuleList(_Unit(outputs, outputs) for _ in range(blocks))

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
        inputs = (3, *config.widths[:-1])
        layout = zip(inputs, config.widths, config.refine_blocks, strict=True)
        self.stages = nn.ModuleList(_Stage(*stage) for stage in layout)
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
        self.fov_head = None if config.fov_min_deg is None else nn.Linear(config.hidden, 1)
        self.familiarity = OutOfDistributionScore(classes, sum(config.widths), _RANK)

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
        known_logit = self.known_head(embedding)[:, 0]
        middle = (self.config.pitch_max_deg + self.config.pitch_min_deg) / 2
        half = (self.config.pitch_max_deg - self.config.pitch_min_deg) / 2
        return Prediction(
            class_logits=class_logits,
            yaw_logits=self.yaw_head(hidden),
            pitch_deg=middle + half * self.pitch_head(hidden)[:, 0],
            z=z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt(),
            framing=self.framing_head(hidden) * hidden.new_tensor(_FRAMING_UNITS),
            fov_deg=self._fov(hidden),
            known_logit=known_logit,
            familiarity=self.familiarity(features, known_logit),
            unlikeness=self.familiarity.unlikeness(features),
            embedding=embedding,
            features=features,
        )

    def _fov(self, hidden: Float[Tensor, "b hidden"]) -> Float[Tensor, " b"] | None:
        """Vertical field of view in degrees, read as a place between the logarithms of the range's ends."""
        low, high = self.config.fov_min_deg, self.config.fov_max_deg
        if self.fov_head is None or low is None or high is None:
            return None
        fov_deg: Tensor = low * (high / low) ** self.fov_head(hidden)[:, 0].sigmoid()
        return fov_deg

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


def save_encoder(encoder: PhotoEncoder, folder: str | Path, *, dtype: torch.dtype = torch.float16) -> Path:
    """Store an encoder beside the generator it was trained for; an older one is replaced.

    Args:
        encoder: Trained and calibrated.
        folder: The model's folder.
        dtype: Stored precision.
    """
    tensors = {name: value.detach().cpu() for name, value in encoder.state_dict().items()}
    stored = {n: v.to(dtype) if v.is_floating_point() else v for n, v in tensors.items()}
    metadata = {"format": _FORMAT, "version": _VERSION, "config": json.dumps(encoder.config.to_dict())}
    path = Path(folder) / ENCODER_NAME
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_bytes(save({n: v.contiguous() for n, v in stored.items()}, metadata=metadata))
    return path


def load_encoder(model: str | Path) -> PhotoEncoder | None:
    """Load the encoder that is stored with a model, in evaluation mode and without gradients of its parameters.

    Args:
        model: As for `load_generator`: bundled name, folder, published pickle, or Hugging Face id.

    Returns:
        None when the model has none.

    Raises:
        NotFoundError: No such model.
        CheckpointError: The file is refused or broken, or was made for another model.
    """
    source = find_source(model)
    path = source.path / ENCODER_NAME
    if not path.is_file():
        return None
    with open_tensors(path) as file:
        metadata = file.metadata() or {}
        tensors = tensors_of(file)
    config = _read_config(metadata, str(path))
    _check_model(config, model_config(source), str(path))
    with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
        encoder = PhotoEncoder(config)
    check_tensors(tensors, encoder.state_dict(), str(path))
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {printable(name)} holds NaN or infinity; restore the file")
    encoder.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}, assign=True)
    return encoder.eval().requires_grad_(False)


def _read_config(metadata: dict[str, str], where: str) -> EncoderConfig:
    if metadata.get("format") != _FORMAT or metadata.get("version") != _VERSION:
        found = f"{quoted(metadata.get('format'))} {quoted(metadata.get('version'))}"
        raise CheckpointError(f"{where} is no encoder of this version: found {found}, needed {_FORMAT} {_VERSION}")
    table = parse_json(metadata.get("config", ""), f"{where}: its config")
    if not isinstance(table, dict):
        raise CheckpointError(f"{where}: its config is {quoted(table)}, it must be a table; restore the file")
    try:
        return EncoderConfig.from_dict(table)
    except (CheckpointError, ValueError) as error:
        raise CheckpointError(f"{where}: {error}; restore the file") from error


def _check_model(config: EncoderConfig, model: ModelConfig, where: str) -> None:
    """Refuse an encoder that was trained for other classes or another latent."""
    for what, own, needed in (
        ("classes", config.class_names, model.settings.class_names),
        ("z_dim", config.z_dim, getattr(model.network, "z_dim", None)),
    ):
        if own != needed:
            raise CheckpointError(
                f"{where} was made for {what} {_brief(own)}, the model has {_brief(needed)}; remove or retrain it"
            )


def _brief(value: Any) -> str:
    return listed(value) if isinstance(value, tuple) else quoted(value)
