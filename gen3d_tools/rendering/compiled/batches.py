"""The fields of a batch with gradients, compiled: one call for all their pictures (CPU, float32).

The fields of a training step differ in their planes alone, which one network made at once. So their planes are laid out
one behind the other, and decoder and settings once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.kernels.compiling.threads import allotted_threads
from gen3d_tools.kernels.network.numbers import channels_last
from gen3d_tools.rendering.compiled.gradients import (
    SeenSamples,
    TrainableField,
    layer_slopes,
    plane_slopes,
    trainable_field,
)

if TYPE_CHECKING:
    from gen3d_tools.kernels.rays.absorption import Light
    from gen3d_tools.kernels.rays.trainable_network import TrainableNetwork


@dataclass(frozen=True, eq=False)
class TrainableBatch:
    """Fields laid out for the kernels, good for one state of their numbers."""

    planes: Float[Tensor, "pictures 3 channels size size"]
    one: TrainableField
    """The first of them, for all that they share."""
    network: "TrainableNetwork"

    def see(
        self,
        config: RenderConfig,
        threshold: float,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        bounds: Int[Tensor, " ends"],
        coarse: Float[Tensor, "rays coarse"],
        positions: Sequence[Float[Tensor, "rays fine"]],
        noise: Float[Tensor, "rays coarse"] | None = None,
    ) -> SeenSamples:
        """Place samples on the rays of all pictures and blend what they see; gradients reach fields and rays.

        Args:
            config: How light is stopped and samples are placed.
            threshold: Share of the light up to which a sample has no value and no gradient, 0..1.
            origins: Ray origins, world units, sorted by picture.
            directions: Unit vectors.
            bounds: Index of each picture's first ray, then the number of rays.
            coarse: Distances of the coarse samples, ascending.
            positions: Numbers in [0, 1) that place the samples of each round.
            noise: What is added to the raw densities; only without fine samples.
        """
        if positions and noise is not None:
            raise ValueError("noise on densities is for rays without fine samples")
        rounds = torch.stack(list(positions)) if positions else coarse.new_empty(0, len(coarse), 0)
        flat = [tensor for layer in self.one.layers for tensor in layer]
        light = self.one.light(config, 1.0, threshold)
        seen: Tensor = _SeePictures.apply(  # type: ignore[no-untyped-call]
            self, light, self.planes, origins, directions, bounds, coarse, rounds, noise, *flat
        )
        return SeenSamples(seen[:, :-4], *seen[:, -4:].unbind(-1))


def trainable_batch(fields: Sequence[RadianceField]) -> TrainableBatch | None:
    """Lay fields out for the kernels; None where they do not cover them, or where more than planes differs."""
    first = fields[0]
    if not isinstance(first, TriplaneField) or not all(_alike(field, first) for field in fields):
        return None
    one = trainable_field(first)
    if one is None:
        return None
    from gen3d_tools.kernels.rays.trainable_network import filled_lanes

    planes = torch.stack([field.planes for field in fields if isinstance(field, TriplaneField)])
    if not bool(planes.detach().sum().isfinite()):
        return None
    texels = filled_lanes(channels_last(planes.detach().numpy(), one.axes)[0])
    return TrainableBatch(planes, one, one.network._replace(texels=texels))


def _alike(field: RadianceField, other: TriplaneField) -> bool:
    """Whether two fields differ in their planes alone."""
    if not isinstance(field, TriplaneField) or field.backdrop is not None or field.planes.shape != other.planes.shape:
        return False
    shared = ("decoder", "render_config", "super_resolution")
    values = ("box_side", "plane_axes", "align_corners", "combine", "outside", "density_activation", "density_shift")
    return all(getattr(field, name) is getattr(other, name) for name in shared) and all(
        getattr(field, name) == getattr(other, name) for name in values
    )


class _SeePictures(torch.autograd.Function):
    """Forward and backward of `TrainableBatch.see`."""

    @staticmethod
    def forward(
        ctx: Any,
        batch: TrainableBatch,
        light: "Light",
        planes: Tensor,
        origins: Tensor,
        directions: Tensor,
        bounds: Tensor,
        coarse: Tensor,
        rounds: Tensor,
        noise: Tensor | None,
        *layers: Tensor,
    ) -> Tensor:
        from gen3d_tools.kernels.rays.batches import see_pictures

        noise = coarse.new_empty(0, coarse.shape[1]) if noise is None else noise
        arrays = [one.detach().contiguous().numpy() for one in (origins, directions, bounds, coarse, rounds, noise)]
        out, distances, raw = see_pictures(batch.network, light, *arrays, threads=allotted_threads())
        ctx.batch, ctx.light = batch, light
        ctx.arrays = [*arrays[:3], distances, raw]
        return torch.from_numpy(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        from gen3d_tools.kernels.rays.batches import see_pictures_backward

        batch: TrainableBatch = ctx.batch
        arrays: list[np.ndarray] = [*ctx.arrays, slopes.contiguous().numpy()]
        wanted = ctx.needs_input_grad[9:]
        grads, *rays = see_pictures_backward(
            batch.network,
            ctx.light,
            *arrays,
            moving=any(ctx.needs_input_grad[3:5]),
            learning=any(wanted),
            threads=allotted_threads(),
        )
        planes = plane_slopes(batch.planes, batch.one.axes, grads.texels) if ctx.needs_input_grad[2] else None
        origins, directions = (
            torch.from_numpy(one) if needed else None
            for one, needed in zip(rays, ctx.needs_input_grad[3:5], strict=True)
        )
        layers = layer_slopes(batch.one, grads) if any(wanted) else [None] * len(wanted)
        return None, None, planes, origins, directions, None, None, None, None, *layers
