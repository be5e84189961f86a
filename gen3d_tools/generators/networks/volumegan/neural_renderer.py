"""VolumeGAN's texture: the network that turns a small map of blended features into the picture (section 3.2).

Xu et al., "3D-aware Image Synthesis via Learning Structural and Textural Representations" (2022). StyleGAN2-like, of
modulated 1x1 convolutions: pixels see their neighbours through the upsampling filter alone, which is what keeps the
pictures of different views alike.
"""

import copy
import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.generators.configs import NoiseKind, NoiseMode
from gen3d_tools.generators.networks.layers import upsample_image
from gen3d_tools.generators.networks.volumegan.scaled_layers import ModulatedPixels, WeightScale


class FirstImage(nn.Module):
    """A plain 1x1 convolution from features to the first colours."""

    def __init__(self, inputs: int, *, scale: WeightScale, clamp: float | None) -> None:
        super().__init__()
        self.scale, self.clamp = scale, clamp
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Float[Tensor, "b inputs h w"]) -> Float[Tensor, "b 3 h w"]:
        """Apply it to every pixel."""
        y = F.conv2d(x, self.weight * self.scale.factor(self.weight.shape[1]), self.bias * self.scale.lr)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)

    def used(self) -> tuple[Float[Tensor, "3 inputs"], Float[Tensor, " 3"]]:
        """The numbers that it multiplies and adds, for the features of a single point."""
        return self.weight[:, :, 0, 0] * self.scale.factor(self.weight.shape[1]), self.bias * self.scale.lr


class NeuralRenderer(nn.Module):
    """Blocks that double the size: two convolutions, then a sum into the running image.

    Args:
        channels: Of the features and of each block's output.
        resolution: Side of the features.
        w_dim: Size of `w`.
        scale: Of all layers.
        demodulate: Whether the convolutions demodulate.
        noise: Shape of their constant noise.
        eps: Of the demodulation.
        clamp: Limit of all outputs.
        first_image: The first image is a convolution of the features; else their first three channels.
        final_tanh: The picture goes through a tanh.
        level: Progressive growing: how many of the last blocks are not yet shown (a fraction fades); 0 when finished.
    """

    def __init__(
        self,
        channels: list[int],
        *,
        resolution: int,
        w_dim: int,
        scale: WeightScale,
        demodulate: bool = True,
        noise: NoiseKind = "spatial",
        eps: float = 1e-8,
        clamp: float | None = None,
        first_image: bool = False,
        final_tanh: bool = False,
        level: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks, self.final_tanh, self.level = len(channels) - 1, final_tanh, level
        self.resolution = resolution << self.blocks
        self.rgb_init_res = FirstImage(channels[0], scale=scale, clamp=clamp) if first_image else None
        for b in range(1, self.blocks + 1):
            before, after = channels[b - 1], channels[b]
            for index, inputs, up in ((2 * b - 1, before, 2), (2 * b, after, 1)):
                layer = ModulatedPixels(
                    inputs,
                    after,
                    w_dim=w_dim,
                    resolution=resolution << b,
                    scale=scale,
                    demodulate=demodulate,
                    up=up,
                    noise=noise,
                    eps=eps,
                    clamp=clamp,
                )
                self.add_module(f"layer{index}", layer)
            output = ModulatedPixels(
                after, 3, w_dim=w_dim, activation="linear", scale=scale, demodulate=False, eps=eps, clamp=clamp
            )
            self.add_module(f"output{b}", output)

    @property
    def num_ws(self) -> int:
        """Latents it is given. The first is read by nothing; each output shares its own with the next block."""
        return 2 * (self.blocks + 1)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices that read each row."""
        read: list[list[Tensor]] = [[] for _ in range(self.num_ws)]
        for b in range(1, self.blocks + 1):
            for name, row in ((f"layer{2 * b - 1}", 2 * b - 1), (f"layer{2 * b}", 2 * b), (f"output{b}", 2 * b + 1)):
                layer = self.get_submodule(name)
                assert isinstance(layer, ModulatedPixels)
                read[row].append(layer.style.used_weight())
        return read

    def first(self, x: Float[Tensor, "b channels n n"]) -> Float[Tensor, "b 3 n n"]:
        """The image before any block."""
        return x[:, :3] if self.rgb_init_res is None else self.rgb_init_res(x)

    def forward(
        self,
        x: Float[Tensor, "b channels n n"],
        ws: Float[Tensor, "b num_ws w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "b 3 r r"]:
        """Make the picture, nominally in [-1, 1].

        Args:
            x: Blended features.
            ws: One latent per row of the network.
            noise_mode: "const" as the published scripts do.
            generator: Source of "random" noise.
            dtype: Of the convolutions; bfloat16 is faster and coarser. The picture is float32.
        """
        image = shown = self.first(x)
        features = x.to(dtype)
        for b in range(self.blocks + 1):
            left = self.blocks - b  # blocks that follow
            if b and self.level < left + 1:
                features, image = self._block(b, features, image, ws, noise_mode, generator)
            shown = self._shown(left, image, shown) if b else image
        return shown.tanh() if self.final_tanh else shown

    def _block(
        self,
        b: int,
        x: Tensor,
        image: Float[Tensor, "b 3 n n"],
        ws: Float[Tensor, "b num_ws w_dim"],
        noise_mode: NoiseMode,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        for index in (2 * b - 1, 2 * b):
            x = self.get_submodule(f"layer{index}")(x, ws[:, index], noise_mode=noise_mode, generator=generator)
        update = self.get_submodule(f"output{b}")(x, ws[:, 2 * b + 1]).float()
        return x, upsample_image(image) + update

    def _shown(
        self, left: int, image: Float[Tensor, "b 3 _ _"], shown: Float[Tensor, "b 3 _ _"]
    ) -> Float[Tensor, "b 3 r r"]:
        """What a network in the middle of its progressive growing shows after a block (Karras et al. 2018)."""
        if self.level <= left:
            return image
        larger = F.interpolate(shown, scale_factor=2, mode="nearest")
        if self.level >= left + 1:
            return larger
        share = math.ceil(self.level) - self.level
        return share * image + (1 - share) * larger


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleNeuralRenderer(SuperResolution):
    """The network with one sample's latents."""

    network: NeuralRenderer
    ws: Float[Tensor, "num_ws w_dim"]
    render_resolution: int
    first_feature: int = 0  # values before this one are the colours of points, and not read here
    dtype: torch.dtype = torch.float32  # of the convolutions

    @property
    def resolution(self) -> int:
        """Pixels along each side of the picture it returns."""
        return self.network.resolution

    def __call__(
        self, values: Float[Tensor, "channels n n"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "3 r r"], Float[Tensor, "3 n n"]]:
        """Make the picture; the noise is always the constant one. Maps of another size are resized first."""
        features = values[None, self.first_feature :] * 2 - 1
        first = self.network.first(features)
        if features.shape[-1] != self.render_resolution:
            size = (self.render_resolution, self.render_resolution)
            features = F.interpolate(features, size, mode="bilinear", align_corners=False, antialias=True)
        image = self.network(features, self.ws[None], dtype=self.dtype)
        return (image[0] + 1) / 2, (first[0] + 1) / 2

    def to(self, device: torch.device | str) -> "SampleNeuralRenderer":
        """Give a copy elsewhere; the generator's own network stays where it is."""
        return replace(self, network=copy.deepcopy(self.network).to(device), ws=self.ws.to(device))
