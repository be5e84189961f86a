"""The network of `weights/shapes`: the geometry-aware family at a size that trains on two CPU cores."""

from dataclasses import replace

import torch
from dataset import CLASSES, Z_DIM
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen3d_tools.fields.triplane import sample_planes
from gen3d_tools.generators.families.geometry_aware import GeometryAwareConfig, build_backbone, build_decoder

SIGNED_DISTANCE_UNIT = 0.03
"""The raw density is learned as truncated signed distance: 1 = this deep inside, in world units."""

CONFIG = GeometryAwareConfig(
    z_dim=Z_DIM,
    w_dim=128,
    num_classes=len(CLASSES),
    embed_dim=12,
    mapping_layers=3,
    mapping_lr_multiplier=1.0,
    plane_resolution=128,
    plane_channels=16,
    channel_base=2048,
    channel_max=192,
    use_noise=False,
    decoder_hidden=(64, 64),
    density_gain=1.0,
    plane_axes="xy-xz-zy",
    box_side=1.0,
    bounded=True,
)


class TrainableField(nn.Module):
    """Backbone and decoder: latents, classes and points in; signed distance and colour out."""

    def __init__(self, config: GeometryAwareConfig = CONFIG) -> None:
        super().__init__()
        self.config = replace(config, density_gain=1.0)  # the gain is applied when the weights are exported
        self.backbone = build_backbone(self.config)
        self.decoder = build_decoder(self.config)
        for _, resolution, block in self.backbone.synthesis.blocks():
            if resolution > 16:  # fine planes fade in: growing the resolution is exactly continuous
                nn.init.zeros_(block.torgb.weight)
        self.to(memory_format=torch.channels_last)

    def forward(
        self,
        z: Float[Tensor, "b z_dim"],
        labels: Int[Tensor, " b"],
        points: Float[Tensor, "b n 3"],
        *,
        resolution: int,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 3"]]:
        """Return the truncated signed distance (positive inside) and the colour at the points."""
        onehot = nn.functional.one_hot(labels, self.config.num_classes).float()
        w = self.backbone.mapping(z, onehot)
        ws = w[:, None].expand(-1, self.backbone.synthesis.num_ws, -1)
        planes = self.backbone.synthesis(ws, stop_at=resolution, dtype=dtype)
        features = sample_planes(
            planes.unflatten(1, (3, -1)),
            points,
            plane_axes=self.config.plane_axes,
            box_side=self.config.box_side,
            align_corners=self.config.align_corners,
        ).mean(1)
        rgb, distance = self.decoder(features)
        return distance, rgb
