"""StyleNeRF: a styled radiance field, rendered at low resolution and enlarged by an image network.

Gu et al., "StyleNeRF: A Style-based 3D-Aware Generator for High-resolution Image Synthesis" (ICLR 2022). The
foreground is a perceptron, the background a second one on an inverted sphere; a later variant looks the foreground up
in tri-planes. Its world has z up and the front on +x: (x, y, z) there is (z, x, y) here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.backdrop import FrozenBackdrop, SphereBackdrop
from gen3d_tools.fields.mlp import Encoding, PerceptronField, PlaneEncoding
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.configs import Growth, StyleNerfConfig
from gen3d_tools.generators.families.stylenerf_networks import (
    background_shape,
    build_plane_blocks,
    build_upsampler,
    check_sizes,
    foreground_shape,
    frequencies,
)
from gen3d_tools.generators.latents import free_latents
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork
from gen3d_tools.generators.networks.stylenerf.field import FieldNetwork
from gen3d_tools.generators.networks.stylenerf.upsampler import PointColors, SampleUpsampler
from gen3d_tools.generators.settings import ModelSettings

AXES = (2, 0, 1)
"""Which of our coordinates StyleNeRF calls x, y and z."""


class StyleNerfGenerator(Generator):
    """StyleNeRF with its upsampler.

    Latents are rows of `ws` in this order: those of the planes' blocks, of the foreground, of the background, of the
    upsampler; then the latents that are no styles (the background's in all published models), filled up with zeros.
    """

    family: ClassVar[str] = "stylenerf"
    config: StyleNerfConfig
    config_type: ClassVar[type[StyleNerfConfig]] = StyleNerfConfig

    def __init__(self, config: StyleNerfConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        check_sizes(config)
        self.mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=config.num_classes,
            w_dim=config.w_dim,
            num_layers=config.mapping_layers,
            embed_dim=config.embed_dim,
            layer_dim=config.mapping_width,
            lr_multiplier=config.mapping_lr_multiplier,
        )
        self.plane_blocks = build_plane_blocks(config) if config.plane_channels else None
        self.foreground = FieldNetwork(foreground_shape(config), w_dim=config.w_dim)
        self.background = FieldNetwork(background_shape(config), w_dim=config.w_dim) if config.background else None
        self.upsampler = build_upsampler(config)

    @property
    def style_rows(self) -> tuple[int, int, int, int]:
        """Rows of `ws` that planes, foreground, background and upsampler read."""
        planes = 0 if self.plane_blocks is None else self.plane_blocks.num_ws
        background = 0 if self.background is None else self.background.shape.num_ws
        return planes, self.foreground.shape.num_ws, background, self.upsampler.num_ws

    @property
    def own_rows(self) -> int:
        """Rows at the end of `ws` that hold latents of their own, independent of the mapping network."""
        return sum(rows for _, rows in self._free_latents())

    def _free_latents(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Numbers and rows of the foreground's and the background's own latent."""
        w_dim = self.config.w_dim
        foreground = self.foreground.shape.free_latent
        background = 0 if self.background is None else self.background.shape.free_latent
        return (foreground, -(-foreground // w_dim)), (background, -(-background // w_dim))

    @property
    def num_ws(self) -> int:
        """One row per layer, and those of latents that are no styles."""
        return sum(self.style_rows) + self.own_rows

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrices of all four networks; rows that are no styles have none."""
        planes = [] if self.plane_blocks is None else self.plane_blocks.style_weights()
        background = [] if self.background is None else self.background.style_weights()
        read = [*planes, *self.foreground.style_weights(), *background, *self.upsampler.style_weights()]
        return [*read, *([] for _ in range(self.own_rows))]

    @property
    def image_resolution(self) -> int | None:
        """Side of the pictures that the upsampler gives."""
        return self.config.picture_resolution

    def mapped(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
        camera_cond: Float[Tensor, "b 25"] | None,
    ) -> tuple[Float[Tensor, "b #num_ws w_dim"], Float[Tensor, "... w_dim"]]:
        """Ask the mapping network. The camera plays no part."""
        return self.mapping(z, class_onehot)[:, None], self.mapping.w_avg

    def latents(
        self,
        seeds: Sequence[int],
        classes: Sequence[str | int] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map seeds to latents. Those that are no styles are drawn as the published code does for a batch of one."""
        ws = super().latents(seeds, classes, truncation_psi, truncation_cutoff)
        (foreground, rows), (background, _) = self._free_latents()
        start = sum(self.style_rows)
        for row, seed in zip(ws, seeds, strict=True):
            own = row[start:].view(-1)
            first, second = free_latents(seed, foreground, background, temperature=self.config.latent_temperature)
            own[:foreground] = first.to(own)
            own[rows * self.config.w_dim :][:background] = second.to(own)
        return ws

    def fields(
        self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32
    ) -> list[PerceptronField]:
        """Fold the networks of each sample into its field.

        Args:
            ws: One latent per layer, then those that are no styles.
            dtype: Of the upsampler's and the planes' convolutions.
        """
        return [self._field(one, dtype) for one in ws]

    def _field(self, ws: Float[Tensor, "num_ws w_dim"], dtype: torch.dtype) -> PerceptronField:
        config = self.config
        *styles, own = torch.split(ws, [*self.style_rows, self.own_rows])
        (foreground, rows), (background, _) = self._free_latents()
        encoding: Encoding = frequencies(config, "foreground", AXES)
        if self.plane_blocks is not None:
            image = self.plane_blocks(None, None, styles[0], dtype=dtype)[-1][1]
            planes = rearrange(image[0], "(plane c) h w -> plane c h w", plane=3)
            encoding = PlaneEncoding(planes, AXES, config.plane_box_side)
        latents = own[:rows].flatten()[:foreground], own[rows:].flatten()[:background]
        growth, enlarging = config.grown(), self.upsampler.pointwise and bool(self.upsampler.resolutions)
        return PerceptronField(
            network=self.foreground.fold(encoding, styles[1], latents[0], density_gain=config.density_gain),
            render_config=self.settings.render_config,
            box_side=config.box_side,
            iso_level=self.settings.iso_level,
            density_activation=config.density_activation,
            density_shift=config.density_shift,
            super_resolution=None if growth is None else self._upsampler(styles[3], growth, dtype),
            backdrop=self._backdrop(styles[2], latents[1]),
            point_colors=PointColors(self.upsampler, styles[3]) if enlarging and growth is not None else None,
        )

    def _upsampler(self, ws: Float[Tensor, "rows w_dim"], growth: Growth, dtype: torch.dtype) -> SampleUpsampler:
        side, whole = self.config.render_resolution, self.upsampler.resolutions[growth.blocks - 1]
        spanned = (side - 1) * whole / (side * (whole - 1))
        return SampleUpsampler(
            stack=self.upsampler,
            ws=ws,
            growth=growth,
            render_resolution=side,
            grid_share=spanned if self.config.every_kth_ray else 1.0,
            dtype=dtype,
        )

    def _backdrop(
        self, ws: Float[Tensor, "rows w_dim"], latent: Float[Tensor, " background_latent"]
    ) -> SphereBackdrop | None:
        if self.background is None:
            return None
        config = self.config
        return SphereBackdrop(
            network=self.background.fold(frequencies(config, "background", (*AXES, 3)), ws, latent),
            layers_per_ray=config.background_steps,
            start=config.background_start,
            density_activation=config.density_activation,
            density_shift=config.density_shift,
            closed=True,
        )


def frozen_background(field: PerceptronField, camera: Camera) -> PerceptronField:
    """Give the field before the background that one camera sees, wherever it is seen from (the web demo's look).

    Args:
        field: A field with a background, or without one.
        camera: A single camera; the published code's stands 0.2 below the equator.
    """
    if field.backdrop is None:
        return field
    return replace(field, backdrop=FrozenBackdrop(field.backdrop, camera))
