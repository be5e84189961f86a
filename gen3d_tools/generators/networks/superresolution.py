"""EG3D's super-resolution: two StyleGAN2 blocks that turn rendered features into the final picture.

EG3D, section 4.3. All layers read the last row of `ws`. The published code runs these blocks in float16 on CUDA;
here they run in float32 unless another type is asked for, so a picture does not depend on the device.

The published code adds the first block's colours *in place*. Where the features arrive at the first block's own
size and that block does not upsample ("2x" from 64 rays, "4x" from 128), the raw picture it returns is therefore
the raw rendering plus the first block's update. `forward` returns that picture too; only exact rendering shows it.
"""

import copy
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.generators.configs import NoiseMode, VariantName
from gen3d_tools.generators.networks.precision import usable_dtype
from gen3d_tools.generators.networks.stylegan2 import SynthesisBlock


@dataclass(frozen=True)
class Variant:
    """The shape of one published super-resolution."""

    input_resolution: int  # features of another size are resized to this first
    resolution: int  # of the picture
    channels: tuple[int, int]  # of the two blocks
    antialiased: bool = True  # whether it has a say in how features are shrunk


VARIANTS: dict[VariantName, Variant] = {
    "8xdc": Variant(128, 512, (256, 128)),
    "8x": Variant(128, 512, (128, 64)),
    "4x": Variant(128, 256, (128, 64)),
    "2x": Variant(64, 128, (128, 64)),
    "deepfp32": Variant(128, 256, (128, 64), antialiased=False),  # in older files; otherwise as "4x"
}
"""The published networks. The second block doubles the size; the first does where the factor is 4 in all."""

CLAMP = 256.0
"""Limit of the activations in networks that were trained in float16."""


class SuperResolutionNetwork(nn.Module):
    """Two synthesis blocks behind a resize.

    Args:
        variant: Which published network.
        in_channels: Channels of the rendered features; the first three are the colour.
        w_dim: Size of `w`.
        antialias: Low-pass features when shrinking them to the input size.
        clamped: Clamp activations, as networks trained in float16 do.
    """

    def __init__(
        self, variant: VariantName, *, in_channels: int, w_dim: int, antialias: bool = True, clamped: bool = True
    ) -> None:
        super().__init__()
        self.variant = VARIANTS[variant]
        self.antialias = antialias and self.variant.antialiased
        size, (first, second) = self.variant.resolution, self.variant.channels
        clamp = CLAMP if clamped else None
        up = size // 2 // self.variant.input_resolution
        self.block0 = SynthesisBlock(
            in_channels, first, w_dim=w_dim, resolution=size // 2, image_channels=3, up=up, conv_clamp=clamp
        )
        self.block1 = SynthesisBlock(
            first, second, w_dim=w_dim, resolution=size, image_channels=3, up=2, conv_clamp=clamp
        )

    def style_weights(self) -> list[Float[Tensor, "_ w_dim"]]:
        """Give the affine matrices of its layers; all of them read the same row."""
        return [*self.block0.style_weights(), *self.block1.style_weights()]

    def forward(
        self,
        features: Float[Tensor, "b channels n n"],
        w: Float[Tensor, "b w_dim"],
        *,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "none",
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 3 n n"]]:
        """Return the picture and the published code's raw picture (see the module), both nominally in [-1, 1].

        Args:
            features: Blended features in [-1, 1].
            w: The last row of each sample's `ws`.
            dtype: Of the convolutions; bfloat16 is faster and coarser, and float32 where it would be emulated.
                Pictures are float32.
            noise_mode: What the network was trained with; the backbone's noise is a separate matter.
            generator: Source of "random" noise.
        """
        x, rgb = features, features[:, :3]
        resized = x.shape[-1] != self.variant.input_resolution
        if resized:
            x, rgb = self._resize(x), self._resize(rgb)
        rows = w[:, None].expand(-1, 3, -1)
        x = x.to(usable_dtype(dtype, x.device), memory_format=torch.channels_last)
        x, middle = self.block0(x, rgb, rows, noise_mode=noise_mode, generator=generator)
        _, image = self.block1(x, middle, rows, noise_mode=noise_mode, generator=generator)
        return image, features[:, :3] if resized or self.block0.up == 2 else middle

    def _resize(self, x: Float[Tensor, "b c n n"]) -> Float[Tensor, "b c m m"]:
        size = (self.variant.input_resolution, self.variant.input_resolution)
        return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=self.antialias)


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleSuperResolution(SuperResolution):
    """The network with one sample's latent."""

    network: SuperResolutionNetwork
    w: Float[Tensor, " w_dim"]
    render_resolution: int
    noise_mode: NoiseMode = "none"
    dtype: torch.dtype = torch.float32  # of the convolutions

    @property
    def resolution(self) -> int:
        """Pixels along each side of the picture it returns."""
        return self.network.variant.resolution

    def __call__(
        self, values: Float[Tensor, "channels n n"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "3 r r"], Float[Tensor, "3 n n"]]:
        """Enlarge rendered values; "random" noise needs a generator and is left out without one."""
        noise_mode = "none" if self.noise_mode == "random" and generator is None else self.noise_mode
        image, raw = self.network(
            values[None] * 2 - 1, self.w[None], dtype=self.dtype, noise_mode=noise_mode, generator=generator
        )
        return (image[0] + 1) / 2, (raw[0] + 1) / 2

    def to(self, device: torch.device | str) -> "SampleSuperResolution":
        """Give a copy elsewhere; the generator's own network stays where it is."""
        return replace(self, network=copy.deepcopy(self.network).to(device), w=self.w.to(device))
