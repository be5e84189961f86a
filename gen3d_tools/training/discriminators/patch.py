"""EpiGRAF's discriminator of patches, told where they lie (section 3.3), and 3DGP's with depth and features (3.3).

The scale and the offsets of a patch become Fourier features and rows of a learned table; that vector scales the
channels of each block ("hyper-modulation") and conditions the logit.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.generators.networks.layers import normal
from gen3d_tools.training.discriminators.body import BodyConfig, Epilogue, ResidualBlock
from gen3d_tools.training.discriminators.layers import LabelMapping
from gen3d_tools.training.patches import Patches

MAPPING_LAYERS = 2
FREQUENCIES = 10  # of the patch's parameters
_PERIOD = 1024.0  # of the lowest of them, in thousandths
_STEPS = 1000  # rows of the table less one: parameters are rounded to thousandths
_ANGLE_FREQUENCIES = 6
_ANGLE_PERIOD = 64.0


class PatchEncoder(nn.Module):
    """Each of a patch's three numbers as sines, cosines and a row of a learned table.

    The higher frequencies and the table tell patches apart that differ by a thousandth. To a network that has not
    learned what they mean, that is noise: each patch finds its channels scaled by numbers of its own.

    Args:
        table_width: Width of the table; 256 in the published networks.
        frequencies: Sines and cosines of each number, the lowest ones; 10 in the published networks.
    """

    def __init__(self, table_width: int = 256, frequencies: int = FREQUENCIES) -> None:
        super().__init__()
        self.const_embed = nn.Embedding(_STEPS + 1, table_width, _weight=normal(_STEPS + 1, table_width))
        self.fourier_encoder = FourierEncoder(frequencies, _PERIOD)
        self.width = 3 * (2 * frequencies + table_width)

    def forward(self, parameters: Float[Tensor, "b 3"]) -> Float[Tensor, "b width"]:
        """Encode scale and offsets."""
        scaled = _STEPS * parameters
        rows = self.const_embed(scaled.round().long())
        return torch.cat([self.fourier_encoder(scaled), rows], -1).flatten(1)


class FourierEncoder(nn.Module):
    """Sines and cosines of numbers with the angles pi 2^k / period, k = 0, 1, ..."""

    fourier_coefs: Tensor

    def __init__(self, frequencies: int, period: float) -> None:
        super().__init__()
        coefficients = [math.pi * 2**k / period for k in range(frequencies)]
        self.register_buffer("fourier_coefs", torch.tensor(coefficients))

    def forward(self, numbers: Float[Tensor, "b n"]) -> Float[Tensor, "b n features"]:
        """Encode each number: sines first."""
        angles = numbers[..., None] * self.fourier_coefs
        return torch.cat([angles.sin(), angles.cos()], -1)


class AngleEncoder(nn.Module):
    """Yaw and pitch as sines and cosines of their share of a turn, or that share itself.

    Args:
        raw: The share itself.
    """

    def __init__(self, *, raw: bool = False) -> None:
        super().__init__()
        self.fourier_encoder = None if raw else FourierEncoder(_ANGLE_FREQUENCIES, _ANGLE_PERIOD)
        self.width = 2 if raw else 4 * _ANGLE_FREQUENCIES

    def forward(self, angles: Float[Tensor, "b 3"]) -> Float[Tensor, "b width"]:
        """Encode yaw and pitch, radians."""
        turn = 2 * math.pi
        shares = angles[:, :2].sign() * angles[:, :2].abs().remainder(turn) / turn
        if self.fourier_encoder is None:
            return shares
        encoded: Tensor = self.fourier_encoder(_ANGLE_PERIOD * shares)
        return encoded.flatten(1)


class HeadMapping(LabelMapping):
    """The mapping of the logit's label, with the encoder of camera angles that belongs to it."""

    def __init__(self, label_dim: int, width: int, encoder: AngleEncoder | None) -> None:
        super().__init__(label_dim + (0 if encoder is None else encoder.width), width, MAPPING_LAYERS)
        self.camera_scalar_enc = encoder


class PatchDiscriminator(nn.Module):
    """Judges patches of one size, told which part of the picture they show.

    Args:
        config: Sizes; 4 image channels with depth.
        side: Pixels along a side of a patch.
        extra_blocks: Blocks in front that do not halve: log2(resolution / side), so that a patch of the smallest scale
            has as many layers as a whole picture would.
        num_classes: 0 = unconditional.
        camera_conditioned: The logit also depends on yaw and pitch.
        feature_dim: Width of the features that are distilled; 0 = none.
        table_width: See `PatchEncoder`.
        frequencies: See `PatchEncoder`.
        modulation: Width of the vector that scales channels; 0 = not modulated.
        label_has_patch: The logit's label contains the patch's embedding (EpiGRAF: only where it is modulated).
        camera_raw: See `AngleEncoder`.
        camera_dropout: Probability of leaving features of the camera out.
    """

    def __init__(
        self,
        config: BodyConfig,
        *,
        side: int,
        extra_blocks: int,
        num_classes: int = 0,
        camera_conditioned: bool = False,
        feature_dim: int = 0,
        table_width: int = 256,
        frequencies: int = FREQUENCIES,
        modulation: int = 512,
        label_has_patch: bool = True,
        camera_raw: bool = False,
        camera_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if side < 8 or side & (side - 1):
            raise InputError(f"a patch has a side of a power of two from 8, got {side}")
        self.num_classes, self.label_has_patch, self.camera_dropout = num_classes, label_has_patch, camera_dropout
        self.scalar_enc = PatchEncoder(table_width, frequencies)
        self.hyper_mod_mapping = LabelMapping(self.scalar_enc.width, modulation, MAPPING_LAYERS) if modulation else None
        virtual = side * 2**extra_blocks
        self.sides = [virtual >> index for index in range(int(math.log2(virtual)) - 2)]
        for index, r in enumerate(self.sides):
            down = 1 if index < extra_blocks else 2
            block = ResidualBlock(config, r, index=index, down=down, modulation=modulation)
            self.add_module(f"b{r}", block)
        label = num_classes + self.scalar_enc.width * label_has_patch
        width = config.channels(4)
        conditioned = label > 0 or camera_conditioned
        encoder = AngleEncoder(raw=camera_raw) if camera_conditioned else None
        self.head_mapping = HeadMapping(label, width, encoder) if conditioned else None
        self.b4 = Epilogue(config, width if conditioned else 0, feature_dim)

    def forward(
        self,
        images: Float[Tensor, "b channels side side"],
        patches: Patches,
        class_onehot: Float[Tensor, "b classes"] | None = None,
        angles: Float[Tensor, "b 3"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, " b"]:
        """Give the logits.

        Args:
            images: Patches in [-1, 1], with depth as a fourth channel where the network reads it.
            patches: Which parts they show.
            class_onehot: Classes.
            angles: Yaw, pitch and roll of the cameras, for a network conditioned on them.
            generator: Chooses the camera's features that are left out.
        """
        return self._judge(images, patches, class_onehot, angles, generator)[0]

    def with_features(
        self,
        images: Float[Tensor, "b channels side side"],
        patches: Patches,
        class_onehot: Float[Tensor, "b classes"] | None = None,
        angles: Float[Tensor, "b 3"] | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "b features"]]:
        """Give the logits and the predicted features of a distilled network."""
        logits, flat = self._judge(images, patches, class_onehot, angles, generator)
        return logits, self.b4.features(flat)

    def _judge(
        self,
        images: Tensor,
        patches: Patches,
        class_onehot: Tensor | None,
        angles: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        embedded = self.scalar_enc(patches.parameters)
        vector = None if self.hyper_mod_mapping is None else self.hyper_mod_mapping(embedded)
        x = images
        for r in self.sides:
            x = self.get_submodule(f"b{r}")(x, vector)
        logits, flat = self.b4(x, self._label(embedded, class_onehot, angles, generator))
        return logits, flat

    def _label(
        self,
        embedded: Tensor,
        class_onehot: Tensor | None,
        angles: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor | None:
        """What the logit is conditioned on."""
        if self.head_mapping is None:
            return None
        parts = []
        if self.num_classes:
            if class_onehot is None:
                raise InputError(f"this discriminator has {self.num_classes} classes; give class_onehot")
            parts.append(class_onehot)
        if self.label_has_patch:
            parts.append(embedded)
        if self.head_mapping.camera_scalar_enc is not None:
            if angles is None:
                raise InputError("this discriminator is conditioned on cameras; give their angles")
            encoded = self.head_mapping.camera_scalar_enc(angles)
            parts.append(self._thinned(encoded, generator) if self.camera_dropout else encoded)
        mapped: Tensor = self.head_mapping(torch.cat(parts, -1))
        return mapped

    def _thinned(
        self, features: Float[Tensor, "b width"], generator: torch.Generator | None
    ) -> Float[Tensor, "b width"]:
        """Leave some features out and make up for it in the others (dropout)."""
        stay = 1 - self.camera_dropout
        kept = torch.rand(features.shape, generator=generator, device=features.device) < stay
        return features * kept / stay
