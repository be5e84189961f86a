"""StyleNeRF's image network behind the rays: modulated layers that double a rendered feature map's size.

Gu et al. 2022, section 3.3. In the published models every layer is 1x1, so that pixels know little of each other. The
same blocks without enlarging turn the features of one point into its colour.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.mlp import Recolor
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.generators.configs import Growth, NoiseMode, UpsampleMode
from gen3d_tools.generators.networks.convolution import convolve, wants_gradient
from gen3d_tools.generators.networks.layers import (
    LRELU_GAIN,
    LRELU_SLOPE,
    FullyConnected,
    ToRGB,
    affine_weight,
    low_pass_filter,
    upsample_image,
)
from gen3d_tools.generators.networks.stylenerf.enlarging import build_adapter, enlarge

_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class LayerStyle:
    """What all modulated layers of a stack share."""

    w_dim: int
    kernel_size: int
    mode: UpsampleMode
    use_noise: bool
    conv_clamp: float | None
    normalised: bool
    """Inputs are divided by the magnitude that they had in training."""


class UpsampleLayer(nn.Module):
    """Modulated convolution, doubling, noise, bias, leaky ReLU with gain sqrt(2), clamp."""

    w_avg: Tensor
    noise_const: Tensor

    def __init__(self, in_channels: int, out_channels: int, style: LayerStyle, *, resolution: int, up: int = 1) -> None:
        super().__init__()
        self.style, self.up = style, up
        self.affine = FullyConnected(style.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, style.kernel_size, style.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        if style.normalised:
            self.register_buffer("w_avg", torch.ones([]))
        if style.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.adapter = build_adapter(style.mode, out_channels) if up == 2 else None

    def forward(
        self,
        x: Float[Tensor, "1 in_channels h w"],
        w: Float[Tensor, " w_dim"],
        *,
        per_point: bool = False,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "1 out_channels h2 w2"]:
        """Apply the layer of one sample; `per_point` neither enlarges nor adds noise."""
        x = self._convolved(x, w, per_point=per_point)
        clamp = self.style.conv_clamp
        if self.style.use_noise and noise_mode != "none" and not per_point:
            noise = self._noise(noise_mode, x, generator) * self.noise_strength
            x = x + noise.to(x.dtype) * LRELU_GAIN
        if wants_gradient(x):
            x = F.leaky_relu(x, LRELU_SLOPE)
            return x if clamp is None else x.clamp(-clamp, clamp)
        x = F.leaky_relu_(x, LRELU_SLOPE)
        return x if clamp is None else x.clamp_(-clamp, clamp)

    def _convolved(
        self, x: Float[Tensor, "1 in_channels h w"], w: Float[Tensor, " w_dim"], *, per_point: bool
    ) -> Float[Tensor, "1 out_channels h2 w2"]:
        """Convolve, enlarge and add the bias, times the activation's gain, with which a leaky ReLU commutes."""
        mode, bias = self.style.mode, self.bias * LRELU_GAIN
        weight = self._kernel(w)
        if self.up == 1 or per_point:
            return convolve(x, weight.to(x.dtype), bias.to(x.dtype))
        if mode == "default" and weight.shape[-1] > 1:
            taps = low_pass_filter(x.dtype, x.device) * 4
            return convolve(x, weight.to(x.dtype), bias.to(x.dtype), taps)
        if mode != "default":
            weight = weight.flip(2, 3)  # the published code convolves with turned kernels here, and was trained so
        y = convolve(x, weight.to(x.dtype), None)
        return enlarge(y, mode, self.adapter, gain=LRELU_GAIN, bias=bias)

    def _kernel(self, w: Float[Tensor, " w_dim"]) -> Float[Tensor, "out_channels in_channels k k"]:
        """Modulate and demodulate the kernel for one sample (StyleGAN2, eq. 1-3), all gains included."""
        kernel = self.weight * self.affine(w[None])[0][:, None, None]
        gain = (kernel.square().sum((1, 2, 3), keepdim=True) + _EPSILON).rsqrt() * LRELU_GAIN
        if self.style.normalised:
            gain = gain * self.w_avg.rsqrt()
        modulated: Tensor = kernel * gain
        return modulated

    def _noise(self, mode: NoiseMode, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if mode == "const":
            return self.noise_const
        return torch.randn((len(x), 1, *x.shape[-2:]), generator=generator, device=self.weight.device)


class UpsampleBlock(nn.Module):
    """One resolution: two layers, the first doubling, and what they add to the running image.

    A block without inputs begins with a learned constant and has one layer.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style: LayerStyle, *, resolution: int, image_channels: int = 3
    ) -> None:
        super().__init__()
        self.resolution, self.num_convs = resolution, 2 if in_channels else 1
        self.aligned_image = style.mode == "bilinear_all"
        if in_channels:
            self.conv0 = UpsampleLayer(in_channels, out_channels, style, resolution=resolution, up=2)
        else:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        self.conv1 = UpsampleLayer(out_channels, out_channels, style, resolution=resolution)
        self.torgb = ToRGB(out_channels, image_channels, w_dim=style.w_dim, conv_clamp=style.conv_clamp)

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        rows: Float[Tensor, "rows w_dim"],
        *,
        per_point: bool = False,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the features and the running image; without an image before, the block's own.

        Args:
            x: Features of the block before.
            image: Its running image.
            rows: Latents of the convolutions, then the image layer's.
            per_point: See `UpsampleLayer`.
            dtype: Of a learned constant, and so of all that follows it.
            noise_mode: "const" is deterministic.
            generator: Source of "random" noise.
        """
        ws = list(rows)
        options = {"per_point": per_point, "noise_mode": noise_mode, "generator": generator}
        x = self.const[None].to(dtype) if x is None else self.conv0(x, ws.pop(0), **options)
        x = self.conv1(x, ws.pop(0), **options)
        update = self._image(x, ws.pop(0))
        if image is None:
            return x, update
        return x, update + (image if per_point else self._enlarged(image))

    def _image(self, x: Float[Tensor, "1 channels h w"], w: Float[Tensor, " w_dim"]) -> Float[Tensor, "1 c h w"]:
        """What the block adds to the image, float32."""
        layer = self.torgb
        styles = layer.affine(w[None])[0] / math.sqrt(layer.weight.shape[1])
        update = F.conv2d(x, (layer.weight * styles[:, None, None]).to(x.dtype), layer.bias.to(x.dtype)).float()
        return update if layer.conv_clamp is None else update.clamp(-layer.conv_clamp, layer.conv_clamp)

    def _enlarged(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
        if self.aligned_image:
            return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)
        return upsample_image(image)


class UpsampleStack(nn.Module):
    """Blocks that double the size, one resolution after another.

    Args:
        resolutions: Of the blocks, ascending.
        in_channels: Of what the first block reads; 0 lets it begin with a constant.
        style: Of all layers.
        channel_base: A block of resolution r has `min(channel_base // r, channel_max)` channels.
        channel_max: See `channel_base`.
        image_channels: Of the running image.
        image_skip: Blocks add to the image of the block before; otherwise each makes its own.
        shared_rgb_row: All image layers read the very last row of latents.
    """

    def __init__(
        self,
        resolutions: list[int],
        *,
        in_channels: int,
        style: LayerStyle,
        channel_base: int,
        channel_max: int,
        image_channels: int = 3,
        image_skip: bool = True,
        shared_rgb_row: bool = False,
    ) -> None:
        super().__init__()
        self.resolutions, self.image_skip, self.shared_rgb_row = resolutions, image_skip, shared_rgb_row
        self.pointwise = style.kernel_size == 1
        self.num_ws = 1 if resolutions else 0
        for resolution in resolutions:
            channels = min(channel_base // resolution, channel_max)
            if channels < 4:
                raise ValueError(f"channel_base {channel_base} leaves {channels} channels at resolution {resolution}")
            block = UpsampleBlock(in_channels, channels, style, resolution=resolution, image_channels=image_channels)
            self.add_module(f"b{resolution}", block)
            self.num_ws += block.num_convs
            in_channels = channels

    def blocks(self) -> Iterator[UpsampleBlock]:
        """Yield the blocks in order."""
        for resolution in self.resolutions:
            yield cast(UpsampleBlock, self.get_submodule(f"b{resolution}"))

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices that read each row."""
        read: list[list[Tensor]] = [[] for _ in range(self.num_ws)]
        start = 0
        for block in self.blocks():
            convolutions = [block.conv0, block.conv1] if block.num_convs == 2 else [block.conv1]
            for row, layer in enumerate(convolutions, start):
                read[row].append(affine_weight(layer))
            start += block.num_convs
            read[-1 if self.shared_rgb_row else start].append(affine_weight(block.torgb))
        return read

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: Float[Tensor, "num_ws w_dim"],
        *,
        blocks: int | None = None,
        per_point: bool = False,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Give features and running image of one sample after every block.

        Args:
            x: What the first block reads.
            image: What its image is added to.
            ws: One latent per layer.
            blocks: Stop after so many.
            per_point: See `UpsampleLayer`.
            dtype: Of the convolutions. Images are float32.
            noise_mode: "const" is deterministic.
            generator: Source of "random" noise.
        """
        found, start = [], 0
        x = None if x is None else x.to(dtype)
        for index, block in enumerate(self.blocks()):
            if index == blocks:
                break
            rows = ws[start : start + block.num_convs + 1]
            if self.shared_rgb_row:
                rows = torch.cat([rows[:-1], ws[-1:]])
            x, image = block(
                x,
                image if self.image_skip else None,
                rows,
                per_point=per_point,
                dtype=dtype,
                noise_mode=noise_mode,
                generator=generator,
            )
            found.append((x, image))
            start += block.num_convs
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleUpsampler(SuperResolution):
    """The blocks with one sample's latents."""

    stack: UpsampleStack
    ws: Float[Tensor, "num_ws w_dim"]
    growth: Growth
    render_resolution: int
    grid_share: float = 1.0
    noise_mode: NoiseMode = "const"
    dtype: torch.dtype = torch.float32  # of the convolutions

    @property
    def resolution(self) -> int:
        """Pixels along each side of the picture it returns."""
        return self.stack.resolutions[self.growth.blocks - 1]

    def __call__(
        self, values: Float[Tensor, "channels n n"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "3 r r"], Float[Tensor, "3 n n"]]:
        """Enlarge rendered values; the raw picture is the rendered one."""
        features = values[None] * 2 - 1
        image = features[:, :3]
        steps = self.stack(
            features[:, 3:],
            image,
            self.ws,
            blocks=self.growth.blocks,
            dtype=self.dtype,
            noise_mode=self.noise_mode,
            generator=generator,
        )
        final = steps[-1][1]
        if self.growth.share < 1:
            before = steps[-2][1] if len(steps) > 1 else image
            before = F.interpolate(before, scale_factor=2, mode="bilinear", align_corners=False)
            final = before.lerp(final, self.growth.share)
        return (final[0] + 1) / 2, values[:3]

    def to(self, device: torch.device | str) -> "SampleUpsampler":
        """Give a copy elsewhere; the generator's own network stays where it is."""
        return replace(self, stack=copy.deepcopy(self.stack).to(device), ws=self.ws.to(device))


@dataclass(frozen=True, eq=False)
class PointColors(Recolor):
    """The colour of single points: the blocks of one sample, without enlarging and without noise."""

    stack: UpsampleStack
    ws: Float[Tensor, "num_ws w_dim"]

    def __call__(self, values: Float[Tensor, "n channels"]) -> Float[Tensor, "n 3"]:
        """Turn a field's values, colours and features, into final colours, nominally 0..1."""
        features = (values * 2 - 1).T[None, :, :, None]
        _, image = self.stack(features[:, 3:], features[:, :3], self.ws, per_point=True)[-1]
        colors: Tensor = (image[0, :, :, 0].T + 1) / 2
        return colors

    def to(self, device: torch.device | str) -> "PointColors":
        """Give a copy elsewhere."""
        return PointColors(copy.deepcopy(self.stack).to(device), self.ws.to(device))
