"""Rays through tri-plane fields with gradients, compiled (CPU, float32).

`render_samples` gives what rays see at samples of given distances, and gradients with respect to planes, decoder and
rays. Where samples lie carries no gradient (NeRF, section 5.2). The plain path of torch stays the reference, and the
path of everything that `trainable_field` does not cover: other devices and precisions, other decoders, wider layers.

Memory: the way back evaluates the network again, so that of a sample only its distance and its raw density are kept
(8 bytes; torch's own graph keeps several thousand). The gradients of the planes take up to eight times the planes,
128 MB at most.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PLANE_AXES, TriplaneField
from gen3d_tools.kernels.compiling.threads import allotted_threads
from gen3d_tools.kernels.network.numbers import DENSITY_ACTIVATIONS, DecoderNumbers, channels_last

if TYPE_CHECKING:  # numba takes a while to import, and not every picture needs it
    from gen3d_tools.kernels.rays.absorption import Light
    from gen3d_tools.kernels.rays.trainable_network import NetworkGradients, TrainableNetwork

logger = logging.getLogger(__name__)

_told: set[str] = set()


@runtime_checkable
class TrainableDecoder(Protocol):
    """A decoder that can say what it computes, as numbers and as tensors with gradients."""

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays on the CPU, or None where it is more than its features and one network."""

    def tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Give the same weights and biases as tensors through which gradients reach the parameters."""


@dataclass(frozen=True, eq=False)
class SeenSamples:
    """What rays see at given samples; gradients reach the field and the rays."""

    values: Float[Tensor, "rays channels"]
    """Blended, without background."""
    distance_sum: Float[Tensor, " rays"]
    """Sum of weight and distance."""
    opacity: Float[Tensor, " rays"]
    """Light stopped on the way, before a background "last" stops the rest."""
    transmittance: Float[Tensor, " rays"]
    """Light left."""
    transmittance_before_last: Float[Tensor, " rays"]
    """Light that reaches the last interval."""


@dataclass(frozen=True, eq=False)
class TrainableField:
    """A field laid out for the kernels, good for one state of its numbers."""

    planes: Float[Tensor, "3 channels size size"]
    layers: Sequence[tuple[Tensor, Tensor]]
    """Weight and bias of each layer, with gradients; see `TrainableDecoder`."""
    network: "TrainableNetwork"
    axes: tuple[tuple[int, int], ...]
    """World axes along the width and the height of each of the field's own planes."""
    decoder: DecoderNumbers
    scale: float
    """1/3 where the field averages its planes."""
    density: int
    """Its activation, see `DENSITY_ACTIVATIONS`."""
    shift: float

    def place(
        self,
        config: RenderConfig,
        width: float,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        coarse: Float[Tensor, "rays coarse"],
        positions: Sequence[Float[Tensor, "_ fine"]],
    ) -> tuple[Float[Tensor, "rays samples"], Float[Tensor, "rays samples"]]:
        """Add rounds of fine samples to coarse ones.

        Args:
            config: How light is stopped and samples are placed.
            width: Of the density's onset, units of the raw density.
            origins: Ray origins, world units.
            directions: Unit vectors.
            coarse: Distances of the coarse samples, ascending.
            positions: Numbers in [0, 1) that place the samples of each round; one row per ray, or one for all.

        Returns:
            Distances of all samples, ascending, and the raw densities there.
        """
        from gen3d_tools.kernels.rays.placement import place_samples

        rounds = torch.stack(list(positions)) if positions else torch.empty(0, 1, 0)
        tensors = (origins, directions, coarse, rounds)
        arrays = (tensor.detach().contiguous().numpy() for tensor in tensors)
        light = self.light(config, width, 0.0)
        placed = place_samples(self.network, light, *arrays, threads=allotted_threads())
        distances, raw = map(torch.from_numpy, placed)
        return distances, raw

    def render(
        self,
        config: RenderConfig,
        width: float,
        threshold: float,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        distances: Float[Tensor, "rays samples"],
        raw: Float[Tensor, "rays samples"],
    ) -> SeenSamples:
        """Blend what rays see at samples; the other arguments are those of `render_samples`.

        Args:
            config: How light is stopped.
            width: Of the density's onset, units of the raw density.
            threshold: Share of the light up to which a sample has no value and no gradient.
            origins: Ray origins, world units.
            directions: Unit vectors.
            distances: Of the samples, ascending.
            raw: Raw density of the samples, as `place` gives it.
        """
        flat = [tensor for layer in self.layers for tensor in layer]
        light = self.light(config, width, threshold)
        seen: Tensor = _RenderSamples.apply(  # type: ignore[no-untyped-call]
            self, light, self.planes, origins, directions, distances, raw, *flat
        )
        return SeenSamples(seen[:, :-4], *seen[:, -4:].unbind(-1))

    def light(self, config: RenderConfig, width: float, threshold: float) -> "Light":
        """How the field stops light; see `render` for the arguments."""
        from gen3d_tools.kernels.rays.absorption import Light

        return Light(
            density=self.density,
            shift=np.float32(self.shift),
            width=np.float32(width),
            midpoint=config.marcher == "midpoint",
            smoothed=config.importance == "smoothed",
            closing=np.float32(config.last_interval or 0),
            last_takes_rest=config.background == "last",
            last_in_coarse_pass=config.last_in_coarse_pass,
            threshold=np.float32(threshold),
            sigmoid=self.decoder.value_activation == "sigmoid",
            gain=np.float32(self.decoder.value_gain),
            offset=np.float32(self.decoder.value_offset),
        )


def render_samples(
    field: TrainableField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays samples"],
    config: RenderConfig,
    *,
    width: float = 1.0,
    threshold: float = 0.0,
) -> SeenSamples:
    """Blend what rays see at samples of given distances, with gradients to the field and the rays.

    Args:
        field: See `trainable_field`.
        origins: Ray origins, world units.
        directions: Unit vectors.
        distances: Of the samples along their rays, ascending, world units; they carry no gradient.
        config: How light is stopped: marcher, last interval, background.
        width: Of the density's onset, units of the raw density; 1 is the field's own.
        threshold: Share of the light up to which a sample has no value and no gradient, 0..1.
    """
    _, raw = field.place(config, width, origins, directions, distances, [])
    return field.render(config, width, threshold, origins, directions, distances, raw)


def trainable_field(field: RadianceField) -> TrainableField | None:
    """Lay a field out for the kernels in its present state; None, which is said once, where they do not cover it."""
    problem = _not_covered(field)
    if problem:
        if problem not in _told:
            _told.add(problem)
            logger.info("gradients of this field go through plain torch: %s", problem)
        return None
    assert isinstance(field, TriplaneField)
    network: object = field.decoder
    assert isinstance(network, TrainableDecoder)
    decoder = network.numbers()
    assert decoder is not None
    from gen3d_tools.kernels.rays.trainable_network import network_from

    axes, scale = PLANE_AXES[field.plane_axes], 1 / 3 if field.combine == "mean" else 1.0
    texels, merged = channels_last(field.planes.detach().numpy(), axes)
    order = _density_last(decoder)
    last, last_bias = decoder.weights[-1][order].copy(), decoder.biases[-1][order].copy()
    last[-1], last_bias[-1] = decoder.density_layer
    laid_out = network_from(
        texels,
        merged,
        [decoder.weights[0] * np.float32(scale), *decoder.weights[1:-1], last],
        [*decoder.biases[:-1], last_bias],
        activation=decoder.activation,
        align_corners=field.align_corners,
        box_side=field.box_side,
        bounded=field.bounded,
    )
    return TrainableField(
        planes=field.planes,
        layers=network.tensors(),
        network=laid_out,
        axes=axes,
        decoder=decoder,
        scale=scale,
        density=DENSITY_ACTIVATIONS[field.density_activation],
        shift=field.density_shift,
    )


def _not_covered(field: RadianceField) -> str:
    """Why the kernels cannot serve a field, empty where they can."""
    if not isinstance(field, TriplaneField):
        return "it is no tri-plane field"
    if field.device.type != "cpu":
        return f"it is on {field.device.type}"
    if field.planes.dtype != torch.float32:
        return f"its numbers are {str(field.planes.dtype).removeprefix('torch.')}"
    if field.planes.shape[-1] != field.planes.shape[-2]:
        return "its planes are not square"
    network: object = field.decoder
    numbers = network.numbers() if isinstance(network, TrainableDecoder) else None
    if numbers is None or field.decoder_reads != "features":
        return "its decoder is more than fully connected layers that read features"
    return _numbers_not_covered(field, numbers)


def _numbers_not_covered(field: TriplaneField, numbers: DecoderNumbers) -> str:
    from gen3d_tools.kernels.network.evaluate import WIDTH

    widest = max(len(bias) for bias in numbers.biases[:-1])
    if widest > WIDTH:
        return f"a hidden layer of its decoder has {widest} units, compiled code serves {WIDTH}"
    network: object = field.decoder
    if isinstance(network, nn.Module) and any(one.dtype != torch.float32 for one in network.parameters()):
        return "its decoder is not float32"
    sums = [float(field.planes.detach().sum()), *(float(one.sum()) for one in (*numbers.weights, *numbers.biases))]
    if not all(map(math.isfinite, sums)):
        return "its numbers are not finite"
    return ""


def _density_last(numbers: DecoderNumbers) -> list[int]:
    """Outputs of the last layer, the density at the end."""
    rows = [row for row in range(len(numbers.biases[-1])) if row != numbers.density_row]
    return [*rows, numbers.density_row]


class _RenderSamples(torch.autograd.Function):
    """Forward and backward of `TrainableField.render`."""

    @staticmethod
    def forward(
        ctx: Any,
        field: TrainableField,
        light: "Light",
        planes: Tensor,
        origins: Tensor,
        directions: Tensor,
        distances: Tensor,
        raw: Tensor,
        *layers: Tensor,
    ) -> Tensor:
        from gen3d_tools.kernels.rays.differentiable import render_samples as render

        ctx.field, ctx.light = field, light
        ctx.save_for_backward(origins, directions, distances, raw)
        arrays = (tensor.detach().contiguous().numpy() for tensor in (origins, directions, distances, raw))
        return torch.from_numpy(render(field.network, light, *arrays, threads=allotted_threads()))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        from gen3d_tools.kernels.rays.differentiable import render_samples_backward

        field: TrainableField = ctx.field
        arrays = (tensor.detach().contiguous().numpy() for tensor in (*ctx.saved_tensors, slopes))
        wanted = ctx.needs_input_grad[7:]
        grads, *rays = render_samples_backward(
            field.network,
            ctx.light,
            *arrays,
            moving=any(ctx.needs_input_grad[3:5]),
            learning=any(wanted),
            threads=allotted_threads(),
        )
        planes = plane_slopes(field.planes, field.axes, grads.texels) if ctx.needs_input_grad[2] else None
        origins, directions = (
            torch.from_numpy(one) if needed else None
            for one, needed in zip(rays, ctx.needs_input_grad[3:5], strict=True)
        )
        layers = layer_slopes(field, grads) if any(wanted) else [None] * len(wanted)
        return None, None, planes, origins, directions, None, None, *layers


def plane_slopes(
    planes: Float[Tensor, "*b 3 channels size size"], axes: Sequence[tuple[int, int]], texels: np.ndarray
) -> Float[Tensor, "*b 3 channels size size"]:
    """Turn gradients of texels into those of planes: what `channels_last` merged goes to each, turned as it was turned.

    Args:
        planes: Of one field or of a batch, for their shape.
        axes: World axes along the width and the height of each plane.
        texels: [rows, lanes] as `NetworkGradients` has them, those of a batch one behind the other.
    """
    merged = list(dict.fromkeys(tuple(sorted(pair)) for pair in axes))
    size, channels = planes.shape[-1], planes.shape[-3]
    images = torch.from_numpy(texels).reshape(*planes.shape[:-4], len(merged), size, size, -1)[..., :channels]
    out = torch.empty_like(planes)
    for plane, (u, v) in enumerate(axes):
        image = images[..., merged.index((min(u, v), max(u, v))), :, :, :]
        out[..., plane, :, :, :].copy_(image.movedim(-1, -3) if u < v else image.transpose(-1, -3))
    return out


def layer_slopes(field: TrainableField, grads: "NetworkGradients") -> list[Tensor]:
    """Gradients of weights and biases as `TrainableDecoder.tensors` gives them."""
    gain, order = np.float32(field.decoder.density_gain), np.argsort(_density_last(field.decoder))
    head, head_bias = grads.head.copy(), grads.head_bias.copy()
    head[-1] *= gain
    head_bias[-1] *= gain
    weights = [grads.first.T * np.float32(field.scale), *(one.T for one in grads.deeper), head[order]]
    biases = [grads.first_bias, *grads.deeper_bias, head_bias[order]]
    out: list[Tensor] = []
    for (weight, bias), full, full_bias in zip(field.layers, weights, biases, strict=True):
        rows, columns = weight.shape
        out.append(torch.from_numpy(np.ascontiguousarray(full[:rows, :columns])))
        out.append(torch.from_numpy(np.ascontiguousarray(full_bias[: len(bias)])))
    return out
