"""A modulated convolution with everything around it as one step of autograd, for networks that learn or are inverted.

What torch's own graph of the same operations keeps and copies takes longer than the convolutions of a small network.
Here the graph keeps the input and the output alone, every pass over feature maps that can be saved is saved, and all
lie channels last: oneDNN then copies nothing.

With styles s, kernel W, demodulation d_o = gain / sqrt(sum_i s_i^2 n_oi + eps) for n_oi = sum of W_oi^2, y = conv(s x)
and z = d y + b + noise, the output is a = lrelu(z). Where W has fewer numbers than the maps, d and s go into W.
The way back needs no y: with g = dL/da and g' = dL/dz the leaky ReLU gives g' z = g a, so that
dL/dd = (sum g a - b sum g' - sum n g') / d.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.generators.networks.convolution import convolution_backward, convolve

EPSILON = 1e-8  # of the demodulation


class LayerShape(NamedTuple):
    """What is fixed about a modulated layer."""

    gain: float  # of the demodulated convolution
    slope: float  # of the leaky ReLU below 0
    clamp: float | None  # largest absolute value of the result
    doubles: bool  # transposed convolution with stride 2, then the low-pass filter


class Kept(NamedTuple):
    """What does not change as long as a kernel does not."""

    norms: Float[Tensor, "out_channels in_channels"]  # sums of squares over the kernel's pixels
    kernel: Float[Tensor, "out_channels in_channels k k"]  # the kernel itself, channels last


def modulated_layer(
    x: Float[Tensor, "b in_channels h w"],
    weight: Float[Tensor, "out_channels in_channels k k"],
    styles: Float[Tensor, "b in_channels"],
    bias: Float[Tensor, " out_channels"],
    noise: Float[Tensor, "*#b_one h2 w2"] | None,
    taps: Float[Tensor, "4 4"] | None,
    shape: LayerShape,
    kept: Kept | None = None,
) -> Float[Tensor, "b out_channels h2 w2"]:
    """Scale channels, convolve, demodulate, add noise and bias, and apply a leaky ReLU.

    Args:
        x: Feature maps.
        weight: Shared kernel.
        styles: Scale of each input channel.
        bias: Of each output channel, gain included.
        noise: Added to all channels, gain included: [h2, w2] or [b, 1, h2, w2].
        taps: Low-pass filter of a layer that doubles the size; None for one that keeps it.
        shape: What is fixed about the layer.
        kept: Of a kernel that takes no gradient, where the caller has kept it.
    """
    result: Tensor = _ModulatedLayer.apply(x, weight, styles, bias, noise, taps, shape, kept)  # type: ignore[no-untyped-call]
    return result


class _ModulatedLayer(torch.autograd.Function):
    """Forward and backward of `modulated_layer`; the way back can be differentiated in its turn."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        styles: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        taps: Tensor | None,
        shape: LayerShape,
        kept: Kept | None,
    ) -> Tensor:
        turned = x.contiguous(memory_format=torch.channels_last)
        kept = kept or _kept(weight.contiguous(memory_format=torch.channels_last))
        scale = _demodulation(styles, kept.norms, shape.gain)
        y = _convolved(turned, kept.kernel, styles, scale, bias, taps)
        if noise is not None:
            y.add_(noise)
        F.leaky_relu_(y, shape.slope)
        if shape.clamp is not None:
            y.clamp_(-shape.clamp, shape.clamp)
        ctx.save_for_backward(x, weight, styles, bias, noise, taps, y)
        ctx.shape, ctx.kept, ctx.scale = shape, kept, scale
        return y

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, styles, bias, noise, taps, result = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:5]
        if torch.is_grad_enabled():  # somebody wants gradients of the gradients
            layer = partial(_differentiable, taps=taps, shape=ctx.shape)
            return (*_differentiable_slopes(layer, (x, weight, styles, bias, noise), slopes, wanted), None, None, None)
        slopes = slopes.contiguous(memory_format=torch.channels_last)
        if ctx.shape.clamp is not None:
            slopes = slopes * (result.abs() < ctx.shape.clamp)
        before = torch.ops.aten.leaky_relu_backward(slopes, result, ctx.shape.slope, True)
        of_noise = None
        if wanted[4]:
            of_noise = before.sum(1, keepdim=True) if noise.ndim == 4 else before.sum((0, 1))
        back = _Back(ctx, x.contiguous(memory_format=torch.channels_last), styles, bias, noise, taps)
        if wanted[1] and _fits_in_kernel(x, ctx.kept.kernel):
            of_styles: Tensor | None
            of_x, of_weight, of_styles, of_bias = back.through_scaled_kernel(before, wanted[0])
        else:
            sums = before.sum((2, 3))
            of_scale = (slopes * result).sum((2, 3)) - bias * sums
            if noise is not None:
                of_scale = of_scale - (before * noise).sum((2, 3))
            of_x, of_weight, of_styles = back.through_maps(before, of_scale / ctx.scale, wanted)
            of_bias = sums.sum(0)
        return of_x, of_weight, of_styles, of_bias, of_noise, None, None, None


class _Back(NamedTuple):
    """The way back through the convolution and the demodulation of one layer."""

    ctx: Any
    x: Tensor
    styles: Tensor
    bias: Tensor
    noise: Tensor | None
    taps: Tensor | None

    def through_scaled_kernel(
        self, before: Tensor, wants_x: bool
    ) -> tuple[Tensor | None, Tensor | None, Tensor, Tensor]:
        """Gradients of x, kernel, styles and bias, where scales and styles were put into the kernel."""
        kernel, scale = self.ctx.kept.kernel, self.ctx.scale
        factors = scale[0, :, None] * self.styles[0]
        scaled = kernel * factors[:, :, None, None]
        of_x, of_weight = convolution_backward(before, self.x, scaled, self.taps, wants_x=wants_x, wants_kernel=True)
        assert of_weight is not None
        of_factors = (of_weight * kernel).sum((2, 3))
        of_weight.mul_(factors[:, :, None, None])
        of_styles = scale @ of_factors
        of_scale = (of_factors @ self.styles[0])[None]
        of_weight, more = self._demodulation_backward(of_scale, of_weight)
        return of_x, of_weight, of_styles + more, before.sum((0, 2, 3))

    def through_maps(
        self, before: Tensor, of_scale: Tensor, wanted: tuple[bool, ...]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of x, kernel and styles, where feature maps were scaled before and after the convolution."""
        of_y = before * self.ctx.scale[:, :, None, None]
        modulated = self.x * self.styles[:, :, None, None] if wanted[1] else self.x  # the kernel's gradient reads it
        wants_x = wanted[0] or wanted[2]
        kernel = self.ctx.kept.kernel
        of_modulated, of_weight = convolution_backward(
            of_y, modulated, kernel, self.taps, wants_x=wants_x, wants_kernel=wanted[1]
        )
        of_weight, more = self._demodulation_backward(of_scale, of_weight)
        of_x = of_styles = None
        if wanted[2] and of_modulated is not None:
            of_styles = (of_modulated * self.x).sum((2, 3)) + more
        if wanted[0] and of_modulated is not None:
            of_x = of_modulated.mul_(self.styles[:, :, None, None])
        return of_x, of_weight, of_styles

    def _demodulation_backward(self, of_scale: Tensor, of_weight: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Add to the kernel's gradient what goes through its norms; also give what goes through to the styles."""
        # d scale / d (sum_i s_i^2 n_oi) = -scale^3 / (2 gain^2)
        of_sums = of_scale * self.ctx.scale**3 * (-0.5 / self.ctx.shape.gain**2)
        if of_weight is not None:
            of_norms = of_sums.T @ self.styles.square()
            of_weight.addcmul_(self.ctx.kept.kernel, of_norms[:, :, None, None], value=2)
        return of_weight, 2 * self.styles * (of_sums @ self.ctx.kept.norms)


def _kept(kernel: Tensor) -> Kept:
    """Norms are quicker where channels lie last."""
    return Kept(kernel.square().sum((2, 3)), kernel)


def _demodulation(styles: Tensor, norms: Tensor, gain: float) -> Float[Tensor, "b out_channels"]:
    """Scale of each output channel (StyleGAN2, eq. 3)."""
    return (styles.square() @ norms.T + EPSILON).rsqrt() * gain


def _fits_in_kernel(x: Tensor, kernel: Tensor) -> bool:
    """Whether a kernel of one sample has fewer numbers than the maps that would be scaled instead."""
    return len(x) == 1 and kernel.numel() < 2 * x.numel()


def _convolved(
    x: Tensor, kernel: Tensor, styles: Tensor, scale: Tensor, bias: Tensor, taps: Tensor | None
) -> Float[Tensor, "b out_channels h2 w2"]:
    """Modulate, convolve, demodulate and add the bias; the result may be changed."""
    if _fits_in_kernel(x, kernel):
        return convolve(x, kernel * (scale[0, :, None] * styles[0])[:, :, None, None], bias, taps, learning=True)
    y = convolve(x * styles[:, :, None, None], kernel, None, taps, learning=True)
    return y.mul_(scale[:, :, None, None]).add_(bias[:, None, None])


def _differentiable(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    *,
    taps: Tensor | None,
    shape: LayerShape,
) -> Tensor:
    """What `modulated_layer` computes, in torch's own graph."""
    scale = _demodulation(styles, weight.square().sum((2, 3)), shape.gain)
    y = convolve(x * styles[:, :, None, None], weight, None, taps)
    z = y * scale[:, :, None, None] + bias[:, None, None]
    result = F.leaky_relu(z if noise is None else z + noise, shape.slope)
    return result if shape.clamp is None else result.clamp(-shape.clamp, shape.clamp)


def _differentiable_slopes(
    layer: Callable[..., Tensor], inputs: tuple[Tensor | None, ...], slopes: Tensor, wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gradients of a layer in torch's own graph, through which further gradients may be taken.

    Args:
        layer: What the layer computes, by torch.
        inputs: Of the layer.
        slopes: Of its result.
        wanted: Of which inputs gradients are wanted; None is given for the others.
    """
    # Views, so that what one input owes to another is not counted here.
    views = [one if one is None else one.view_as(one) for one in inputs]
    asked = [one for one, is_wanted in zip(views, wanted, strict=True) if is_wanted and one is not None]
    found = iter(torch.autograd.grad(layer(*views), asked, slopes, create_graph=True))
    return [next(found) if is_wanted else None for is_wanted in wanted]


class Doubled(torch.autograd.Function):
    """Twice the size by the low-pass filter with zeros beyond the border; the way back is the filter itself."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, taps: Tensor) -> Tensor:
        """Interpolate: that filter is bilinear, but at the border, where a quarter of it reads zeros."""
        ctx.save_for_backward(taps)
        doubled = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
        for edge in (doubled[:, :, 0], doubled[:, :, -1], doubled[..., 0], doubled[..., -1]):
            edge.mul_(0.75)
        return doubled

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None]:
        """Filter, and take every second pixel."""
        (taps,) = ctx.saved_tensors
        channels = slopes.shape[1]
        return F.conv2d(slopes, taps.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels), None


def add_mixed_channels(
    image: Float[Tensor, "b out_channels h w"] | None,
    x: Float[Tensor, "b in_channels h w"],
    kernels: Float[Tensor, "b out_channels in_channels"],
    bias: Float[Tensor, " out_channels"],
) -> Float[Tensor, "b out_channels h w"]:
    """Add a 1x1 convolution with a kernel per sample to an image, which may be changed, as one step of autograd."""
    mixed: Tensor = _AddMixedChannels.apply(image, x, kernels, bias)  # type: ignore[no-untyped-call]
    return mixed


class _AddMixedChannels(torch.autograd.Function):
    """Forward and backward of `add_mixed_channels`, as products of matrices."""

    @staticmethod
    def forward(ctx: Any, image: Tensor | None, x: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        if image is not None and image.is_contiguous(memory_format=torch.channels_last):
            ctx.mark_dirty(image)
            out = image.add_(bias[:, None, None])
        else:
            size = (len(x), kernels.shape[1], *x.shape[2:])
            out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
            out.copy_(bias[:, None, None].expand(size) if image is None else image + bias[:, None, None])
        _pixels(out).baddbmm_(_pixels(x), kernels.transpose(1, 2))
        return out

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, kernels = ctx.saved_tensors
        wants_image, wants_x, wants_kernels, wants_bias = ctx.needs_input_grad
        slopes = slopes.contiguous(memory_format=torch.channels_last)
        pixels = _pixels(slopes)
        of_x = of_kernels = None
        if wants_x:
            of_x = (pixels @ kernels).reshape(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)
        if wants_kernels:
            of_kernels = pixels.transpose(1, 2) @ _pixels(x)
        return slopes if wants_image else None, of_x, of_kernels, slopes.sum((0, 2, 3)) if wants_bias else None


def _pixels(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h*w c"]:
    """Feature maps as rows of channels, without a copy where they lie channels last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)
