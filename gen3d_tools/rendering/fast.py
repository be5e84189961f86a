"""The fast ways of following rays: compiled, for tri-plane fields on the CPU.

Guided by a lattice (`FastField.follow`) is the default: samples lie where light is stopped. The settings' own samples
(`FastField.sample`) are taken where random numbers are given or the published scheme is asked for. Wherever a gradient
is wanted or something is asked to the letter, the path of `tracing.py` is taken, which says what is true.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen3d_tools.fields.compiled import kernel_numbers
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.kernels.network.numbers import TriplaneNumbers
from gen3d_tools.rendering.sampling import coarse_samples, tight_limits

if TYPE_CHECKING:  # numba takes a while to import, and not every picture needs it
    from gen3d_tools.kernels.network.evaluate import Network
    from gen3d_tools.kernels.rays.guided import Shading
    from gen3d_tools.kernels.rays.occupancy import Guide

_ENDLESS = np.float32(1e30)
_NEGLIGIBLE = 1e-3  # optical thickness, over the longest way through the box, that counts as empty
_FEWEST_SAMPLES = 6


@dataclass(frozen=True, eq=False)
class FastField:
    """A field laid out for the kernels."""

    network: "Network"
    guide: "Guide"
    shading: "Shading"
    box_side: float
    bounded: bool

    def follow(
        self,
        config: RenderConfig,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        near: Float[Tensor, " rays"],
        far: Float[Tensor, " rays"],
        hit: Bool[Tensor, " rays"],
        cut: bool,
        channels: int | None,
    ) -> dict[str, Tensor]:
        """Follow rays from `near` to `far`, where they `hit`; `cut` says that they end at the box already.

        The names of the result are those of `tracing._trace`.
        """
        from gen3d_tools.kernels.rays.guided import follow_rays

        shading = self._shading_for(config, channels)
        limits = self._limits(origins, directions, near, torch.where(hit, far, near), cut)
        arrays = (tensor.float().contiguous().numpy() for tensor in (origins, directions, limits))
        out = torch.from_numpy(follow_rays(self.network, self.guide, shading, *arrays, threads=torch.get_num_threads()))
        moment, opacity, left, before_last = out[:, -4:].unbind(-1)
        return {
            "values": out[:, :-4],
            "distance_sum": moment,
            "weight_sum": opacity + left if shading.last_takes_rest else opacity,
            "opacity": opacity,
            "transmittance": left,
            "transmittance_before_last": before_last,
        }

    def sample(
        self,
        config: RenderConfig,
        rays: Sequence[Tensor],
        channels: int | None,
    ) -> dict[str, Tensor]:
        """Do what `tracing._trace` does, at the same samples.

        Args:
            config: The settings.
            rays: Origins and directions [rays, 3], near and far [rays], coarse offsets and fine positions
                [rays, samples]; see `tracing.render_rays`.
            channels: Give the first so many values only.
        """
        from gen3d_tools.kernels.rays.scheme import Scheme, follow_scheme

        origins, directions, near, far, offsets, positions = rays
        if offsets.stride(0) == 0 and (near == near[:1]).all() and (far == far[:1]).all():
            offsets, near, far = offsets[:1], near[:1], far[:1]
        coarse, metric = coarse_samples(config, offsets, near, far)
        scheme = Scheme(
            midpoint=config.marcher == "midpoint",
            smoothed=config.importance == "smoothed",
            last_in_coarse_pass=config.last_in_coarse_pass,
            half_side=np.float32(self.box_side / 2) if self.bounded else _ENDLESS,
        )
        placed = positions[:1] if positions.stride(0) == 0 else positions
        tensors = (origins, directions, coarse, metric, placed)
        arrays = (tensor.float().contiguous().numpy() for tensor in tensors)
        shading, threads = self._shading_for(config, channels), torch.get_num_threads()
        out = torch.from_numpy(follow_scheme(self.network, self.guide, shading, scheme, *arrays, threads=threads))
        names = ("distance_sum", "weight_sum", "opacity", "transmittance", "transmittance_before_last")
        found = dict(zip((*names, "nearest", "farthest"), out[:, -7:].unbind(-1), strict=True))
        return {"values": out[:, :-7], **found}

    def _shading_for(self, config: RenderConfig, channels: int | None) -> "Shading":
        """Fill in what depends on the render settings."""
        return self.shading._replace(
            head=self.shading.head[:channels],
            head_bias=self.shading.head_bias[:channels],
            closing=np.float32(config.last_interval or 0),
            last_takes_rest=config.background == "last",
            most_samples=max(_FEWEST_SAMPLES, config.fine_samples),
        )

    def _limits(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        near: Float[Tensor, " rays"],
        far: Float[Tensor, " rays"],
        cut: bool,
    ) -> Float[Tensor, "rays 3"]:
        """Where rays start, where there is nothing any more, and where they end."""
        lost = near.isnan() | far.isnan()  # in the plane of a wall of the box, beside it
        near, far = near.masked_fill(lost, 0), far.masked_fill(lost, 0)
        if cut or not self.bounded:
            return torch.stack([near, far, far], -1)
        enter, leave, hit = tight_limits(origins, directions, self.box_side)
        enter = torch.where(hit, enter, far).clamp(near, far)
        return torch.stack([enter, torch.where(hit, leave, far).clamp(enter, far), far], -1)


_PREPARED: WeakKeyDictionary[TriplaneField, tuple[tuple[int, ...], FastField | None]] = WeakKeyDictionary()


def fast_field(field: RadianceField, *rays: Tensor) -> FastField | None:
    """Lay a field out for the kernels, once for every state of its numbers; None where they cannot serve it.

    Args:
        field: What to look at.
        rays: Further tensors that may ask for gradients.
    """
    if not isinstance(field, TriplaneField) or field.device.type != "cpu":
        return None
    parts = [field.planes]
    if isinstance(field.decoder, nn.Module):
        parts += [*field.decoder.parameters(), *field.decoder.buffers()]
    if torch.is_grad_enabled() and any(part.requires_grad for part in (*parts, *rays)):
        return None
    state = tuple(number for part in parts for number in (part.data_ptr(), part._version))
    found = _PREPARED.get(field)
    if found is None or found[0] != state:
        found = state, _prepare(field)
        _PREPARED[field] = found
    return found[1]


def _prepare(field: TriplaneField) -> FastField | None:
    numbers = kernel_numbers(field)
    if numbers is None:
        return None
    from gen3d_tools.kernels.network.evaluate import network_of
    from gen3d_tools.kernels.rays.occupancy import build_guide

    network = network_of(numbers)
    if network is None:
        return None
    thinnest = _NEGLIGIBLE / (math.sqrt(3) * field.box_side)
    threshold = math.log(math.expm1(thinnest)) if field.density_activation == "softplus" else 0.0
    guide = build_guide(network, threshold - field.density_shift, threads=torch.get_num_threads())
    return FastField(network, guide, _shading(field, numbers), field.box_side, field.bounded)


def _shading(field: TriplaneField, numbers: TriplaneNumbers) -> "Shading":
    """How the field stops light and makes colours; what depends on the render settings is filled in later."""
    from gen3d_tools.kernels.network.evaluate import WIDTH, filled
    from gen3d_tools.kernels.rays.guided import Shading

    decoder = numbers.decoder
    colors = [row for row in range(len(decoder.biases[-1])) if row != decoder.density_row]
    head = decoder.weights[-1][colors]
    return Shading(
        head=filled(head, (len(head), WIDTH)),
        head_bias=np.ascontiguousarray(decoder.biases[-1][colors], np.float32),
        sigmoid=decoder.value_activation == "sigmoid",
        gain=np.float32(decoder.value_gain),
        offset=np.float32(decoder.value_offset),
        smooth=field.density_activation == "softplus",
        shift=np.float32(field.density_shift),
        closing=np.float32(0),
        last_takes_rest=False,
        most_samples=_FEWEST_SAMPLES,
    )
