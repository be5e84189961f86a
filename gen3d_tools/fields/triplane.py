"""The tri-plane field (EG3D, section 3.2): three feature planes, looked up, combined and decoded.

A world point is projected on three planes that cross the box of side `box_side`; each plane answers with a
bilinear mix of its texels, a small decoder turns the combined features into colour and density.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.backdrop import Backdrop
from gen3d_tools.fields.choices import DensityActivation, PlaneAxes
from gen3d_tools.fields.field import RadianceField, empty_outside
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.kernels.network.numbers import DecoderNumbers, TriplaneNumbers, channels_last

PLANE_AXES: dict[PlaneAxes, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "xy-xz-zx": ((0, 1), (0, 2), (2, 0)),  # EG3D's released weights: the third plane repeats the second, transposed
    "xy-xz-yz": ((0, 1), (0, 2), (1, 2)),  # EpiGRAF, 3DGP
    "xy-xz-zy": ((0, 1), (0, 2), (2, 1)),  # EG3D with the third plane repaired, for newly trained weights
}
"""For each plane the world axes along its width and its height."""


def sample_planes(
    planes: Float[Tensor, "b 3 c h w"],
    points: Float[Tensor, "b n 3"],
    *,
    plane_axes: PlaneAxes,
    box_side: float,
    align_corners: bool,
) -> Float[Tensor, "b 3 n c"]:
    """Look points up in three feature planes, bilinearly, with zeros outside.

    Args:
        planes: Feature planes; the box [-box_side/2, box_side/2]^3 covers them.
        points: World coordinates.
        plane_axes: Which world axes run along each plane's width and height.
        box_side: Full side of the box in world units.
        align_corners: The box ends at the centres of the outermost texels (True) or at their outer edges (False).

    Returns:
        The features of every point in each plane.
    """
    unit = points * (2 / box_side)
    grid = rearrange(unit[..., PLANE_AXES[plane_axes]], "b n plane uv -> (b plane) 1 n uv")
    images = rearrange(planes, "b plane c h w -> (b plane) c h w")
    features = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=align_corners)
    return rearrange(features, "(b plane) c 1 n -> b plane n c", plane=3)


@runtime_checkable
class DescribedDecoder(Protocol):
    """A decoder that can say what it computes, so that kernels can do it."""

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays on the CPU, or None where it is more than its features and one network."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TriplaneField(RadianceField):
    """One scene: its planes and the decoder that reads them.

    Gradients reach the planes and the decoder's parameters unless the caller switches them off.
    """

    planes: Float[Tensor, "3 c h w"]
    # features [n, c] -> values [n, k], raw [n]; what `decoder_reads` names follows the features
    decoder: Callable[..., tuple[Tensor, Tensor]]
    render_config: RenderConfig
    box_side: float
    plane_axes: PlaneAxes
    align_corners: bool
    combine: Literal["mean", "sum"] = "mean"
    # "decode": outside the box the decoder reads fading, then zero features, as the published networks do;
    # "empty": there is nothing outside, so rays and meshes may stop at the box. The colour is the decoder's in both.
    outside: Literal["decode", "empty"] = "decode"
    density_activation: DensityActivation = "softplus"
    density_shift: float = 0.0
    density_noise: float = 0.0
    iso_level: float = 10.0
    super_resolution: SuperResolution | None = None
    backdrop: Backdrop | None = None
    # "points": the coordinates with the box as [-1, 1]^3, and the viewing directions (0 where none are asked for),
    # for decoders with a positional encoding or a view-dependent colour (EpiGRAF).
    decoder_reads: Literal["features", "points"] = "features"

    def __repr__(self) -> str:
        """Say in one line what it is, without its numbers."""
        _, channels, height, width = self.planes.shape
        planes = f"planes of {width} x {height} texels and {channels} channels"
        return f"TriplaneField({planes}, box of side {self.box_side:g}, on {self.planes.device})"

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        """The density is exactly 0 outside the box."""
        return self.outside == "empty"

    def features(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
        """Look points up and combine the three planes."""
        looked_up = sample_planes(
            self.planes[None],
            points[None],
            plane_axes=self.plane_axes,
            box_side=self.box_side,
            align_corners=self.align_corners,
        )[0]
        return self._combined(looked_up)

    def _combined(self, looked_up: Float[Tensor, "*b 3 n c"]) -> Float[Tensor, "*b n c"]:
        return looked_up.mean(-3) if self.combine == "mean" else looked_up.sum(-3)

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate colour (or features) and raw density; see `decoder_reads` for the directions."""
        shape = points.shape[:-1]
        flat = points.reshape(-1, 3)
        towards = None if directions is None else directions.reshape(-1, 3)
        values, raw = self._decoded(self.features(flat), flat, towards)
        return values.reshape(*shape, values.shape[-1]), raw.reshape(shape)

    def _decoded(
        self,
        features: Float[Tensor, "n c"],
        points: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"] | None = None,
    ) -> tuple[Float[Tensor, "n channels"], Float[Tensor, " n"]]:
        """What the decoder makes of the planes' features at points."""
        if self.decoder_reads == "points":
            towards = torch.zeros_like(points) if directions is None else directions
            values, raw = self.decoder(features, points * (2 / self.box_side), towards)
        else:
            values, raw = self.decoder(features)
        return values, empty_outside(raw, points, self.box_side) if self.bounded else raw

    def tensors(self) -> list[Tensor]:
        """Planes, and weights and buffers of the decoder."""
        decoder = self.decoder
        return [self.planes, *([*decoder.parameters(), *decoder.buffers()] if isinstance(decoder, nn.Module) else ())]

    def numbers(self) -> TriplaneNumbers | None:
        """Describe planes and decoder as arrays on the CPU.

        Returns:
            None where the planes are not square, or the decoder is a plain function or reads more than features.
        """
        network: object = self.decoder
        decoder = network.numbers() if isinstance(network, DescribedDecoder) else None
        if decoder is None or self.planes.shape[-1] != self.planes.shape[-2]:
            return None
        texels, axes = channels_last(self.planes.detach().float().cpu().numpy(), PLANE_AXES[self.plane_axes])
        return TriplaneNumbers(
            texels=texels,
            axes=axes,
            scale=1 / 3 if self.combine == "mean" else 1.0,
            decoder=decoder,
            align_corners=self.align_corners,
            box_side=self.box_side,
            bounded=self.bounded,
        )

    @property
    def device(self) -> torch.device:
        """Where the planes are."""
        return self.planes.device

    def to(self, device: torch.device | str) -> "TriplaneField":
        """Give the same field elsewhere; a decoder that is a module is copied, the original stays where it is."""
        decoder = self.decoder
        if isinstance(decoder, nn.Module):
            decoder = copy.deepcopy(decoder).to(device)
        return replace(
            self,
            planes=self.planes.to(device),
            decoder=decoder,
            super_resolution=None if self.super_resolution is None else self.super_resolution.to(device),
            backdrop=None if self.backdrop is None else self.backdrop.to(device),
        )

    @staticmethod
    def raw_densities(fields: "Sequence[TriplaneField]", points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n"]:
        """Evaluate the raw density of several fields that differ in their planes alone, each at points of its own.

        Args:
            fields: One per row of points; all but the planes is taken from the first.
            points: World coordinates.

        Returns:
            Densities before activation, as `raw_density` gives them.
        """
        first = fields[0]
        looked_up = sample_planes(
            torch.stack([field.planes for field in fields]),
            points,
            plane_axes=first.plane_axes,
            box_side=first.box_side,
            align_corners=first.align_corners,
        )
        _, raw = first._decoded(first._combined(looked_up).flatten(0, 1), points.flatten(0, 1))
        return raw.view(points.shape[:2])
