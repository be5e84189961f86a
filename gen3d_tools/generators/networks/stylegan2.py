"""StyleGAN2 in plain torch: mapping network and skip synthesis network.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), "skip" architecture.

Letters: `x` feature maps [b, c, h, w]; `w` one latent per sample [b, w_dim]; `ws` one latent per
layer [b, num_ws, w_dim].
"""

import math
from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import NoiseMode
from gen3d_tools.generators.networks.layers import (
    FullyConnected,
    SynthesisLayer,
    ToRGB,
    affine_weight,
    constant,
    normal,
    normalize_second_moment,
    upsample_image,
    wants_gradient,
)
from gen3d_tools.generators.networks.precision import usable_dtype


class MappingNetwork(nn.Module):
    """From `z` (and a label) to `w`: normalise both, concatenate, `num_layers` fully connected layers.

    Args:
        z_dim: Size of the Gaussian latent.
        label_dim: Size of the conditioning label (class one-hot, camera numbers, ...); 0 = none.
        w_dim: Size of `w`.
        num_layers: Fully connected layers, leaky ReLU.
        embed_dim: Width of the label embedding; default `w_dim`.
        layer_dim: Width of the hidden layers; default `w_dim`.
        lr_multiplier: Of the fully connected layers (not of the embedding).
        num_averages: Rows of `w_avg`: 1, or one per class (class-wise truncation); 0 = a plain vector.
    """

    w_avg: Tensor

    def __init__(
        self,
        *,
        z_dim: int,
        label_dim: int,
        w_dim: int,
        num_layers: int = 8,
        embed_dim: int | None = None,
        layer_dim: int | None = None,
        lr_multiplier: float = 0.01,
        num_averages: int = 0,
    ) -> None:
        super().__init__()
        self.z_dim, self.label_dim, self.w_dim, self.num_layers = z_dim, label_dim, w_dim, num_layers
        embed_dim = (embed_dim or w_dim) if label_dim else 0
        widths = [z_dim + embed_dim, *[layer_dim or w_dim] * (num_layers - 1), w_dim]
        if label_dim:
            self.embed = FullyConnected(label_dim, embed_dim)
        for i in range(num_layers):
            layer = FullyConnected(widths[i], widths[i + 1], activation="lrelu", lr_multiplier=lr_multiplier)
            self.add_module(f"fc{i}", layer)
        self.register_buffer("w_avg", constant(*((num_averages, w_dim) if num_averages else (w_dim,))))

    def forward(
        self, z: Float[Tensor, "b z_dim"], label: Float[Tensor, "b label_dim"] | None = None
    ) -> Float[Tensor, "b w_dim"]:
        """Map latents; `label` is ignored by a network without one."""
        x = normalize_second_moment(z.float())
        if self.label_dim:
            if label is None:
                raise ValueError(f"this mapping network needs a label of {self.label_dim} numbers per sample")
            x = torch.cat([x, normalize_second_moment(self.embed(label.float()))], dim=-1)
        for i in range(self.num_layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x


def truncate(
    ws: Float[Tensor, "b num_ws w_dim"],
    w_avg: Float[Tensor, "*#b w_dim"],
    psi: float,
    cutoff: int | None = None,
) -> Float[Tensor, "b num_ws w_dim"]:
    """Pull latents towards their mean: `w_avg + psi (w - w_avg)` on the rows below `cutoff`.

    Args:
        ws: One latent per layer.
        w_avg: The mean, shared [w_dim] or per sample [b, w_dim] (class-wise truncation).
        psi: 1 leaves `ws` as they are, 0 gives the mean; negative and > 1 are allowed.
        cutoff: Number of leading rows to truncate; None = all.
    """
    if psi == 1 or cutoff == 0:
        return ws
    mean = w_avg.unsqueeze(-2)
    mixed = mean.lerp(ws, psi)
    return mixed if cutoff is None else torch.cat([mixed[:, :cutoff], ws[:, cutoff:]], dim=1)


class SynthesisBlock(nn.Module):
    """One resolution of the skip architecture: convolutions, then a sum into the running image.

    `in_channels=0` is the first block (a learned constant and one convolution). `up=1` on a later
    block is the extra block of Shen & Wang (2024, figure 2): same structure, no upsampling.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        resolution: int,
        image_channels: int,
        up: int = 2,
        use_noise: bool = True,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.up, self.num_convs = up, 2 if in_channels else 1
        if in_channels:
            self.conv0 = SynthesisLayer(
                in_channels,
                out_channels,
                w_dim=w_dim,
                resolution=resolution,
                up=up,
                use_noise=use_noise,
                conv_clamp=conv_clamp,
            )
        else:
            self.const = nn.Parameter(normal(out_channels, resolution, resolution))
        self.conv1 = SynthesisLayer(
            out_channels,
            out_channels,
            w_dim=w_dim,
            resolution=resolution,
            use_noise=use_noise,
            conv_clamp=conv_clamp,
        )
        self.torgb = ToRGB(out_channels, image_channels, w_dim=w_dim, conv_clamp=conv_clamp)

    def style_weights(self) -> list[Float[Tensor, "_ w_dim"]]:
        """Give the affine matrices of its rows: those of its convolutions, then torgb's."""
        layers = [self.conv0, self.conv1, self.torgb] if self.num_convs == 2 else [self.conv1, self.torgb]
        return [affine_weight(layer) for layer in layers]

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: Float[Tensor, "b rows w_dim"],
        *,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the features and the running image after this block; `ws` are its convolutions' rows, then torgb's."""
        rows = list(ws.unbind(1))
        if x is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, rows.pop(0), noise_mode=noise_mode, generator=generator)
        x = self.conv1(x, rows.pop(0), noise_mode=noise_mode, generator=generator)
        update = self.torgb(x, rows.pop(0))
        if image is None:
            return x, update
        image = upsample_image(image) if self.up == 2 else image
        return x, update + image if wants_gradient(update, image) else update.add_(image)


class SynthesisNetwork(nn.Module):
    """Blocks b4, b8, ... up to `resolution`, with the channels `min(channel_base // r, channel_max)`.

    With `extra_blocks`, block x{r} follows b{r} at the same resolution (Shen & Wang 2024, figure 2).
    Every convolution reads one row of `ws`; each torgb shares its row with the next convolution.
    """

    def __init__(
        self,
        *,
        w_dim: int,
        resolution: int,
        image_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        extra_blocks: bool = False,
        use_noise: bool = True,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f"a synthesis network needs a power of two >= 4 as resolution, got {resolution}")
        if min(channel_base // resolution, channel_max) < 1:
            raise ValueError(f"channel_base {channel_base} leaves no channel at resolution {resolution}")
        self.w_dim, self.resolution, self.image_channels = w_dim, resolution, image_channels
        self.block_names: list[str] = []
        self.num_ws = 1
        previous = 0
        for r in (2**k for k in range(2, int(math.log2(resolution)) + 1)):
            channels = min(channel_base // r, channel_max)
            for name, up in ((f"b{r}", 2), (f"x{r}", 1)) if extra_blocks else ((f"b{r}", 2),):
                block = SynthesisBlock(
                    previous,
                    channels,
                    w_dim=w_dim,
                    resolution=r,
                    image_channels=image_channels,
                    up=up,
                    use_noise=use_noise,
                    conv_clamp=conv_clamp,
                )
                self.add_module(name, block)
                self.block_names.append(name)
                self.num_ws += block.num_convs
                previous = channels

    def blocks(self) -> Iterator[tuple[str, int, SynthesisBlock]]:
        """Yield each block's name, resolution and module, in order."""
        for name in self.block_names:
            yield name, int(name[1:]), cast(SynthesisBlock, self.get_submodule(name))

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices that read each row."""
        read: list[list[Tensor]] = [[] for _ in range(self.num_ws)]
        start = 0
        for _, _, block in self.blocks():
            for row, weight in enumerate(block.style_weights(), start):
                read[row].append(weight)
            start += block.num_convs
        return read

    def forward(
        self,
        ws: Float[Tensor, "b num_ws w_dim"],
        *,
        stop_at: int | None = None,
        dtype: torch.dtype = torch.float32,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b image_channels r r"]:
        """Synthesise the image (for a tri-plane generator: the planes, side by side in the channels).

        Args:
            ws: One latent per layer.
            stop_at: Return the running image of this resolution instead (progressive training).
            dtype: Of the convolutions; bfloat16 is faster and coarser, and float32 where it would be emulated. The
                image is float32.
            noise_mode: "const" is deterministic.
            generator: Source of "random" noise.
        """
        x: Tensor | None = None
        image: Tensor | None = None
        start, dtype = 0, usable_dtype(dtype, ws.device)
        for _, resolution, block in self.blocks():
            if stop_at is not None and resolution > stop_at:
                break
            rows = ws[:, start : start + block.num_convs + 1].float()
            x, image = block(x, image, rows, dtype=dtype, noise_mode=noise_mode, generator=generator)
            start += block.num_convs
        assert image is not None
        return image
