"""One object that a reconstructor made of a photo: planes and a decoder, a model that every command takes."""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.checkpoints.native import write_folder
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.generators.reconstructor_configs import ReconstructionConfig
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.plane_decoder import FoldedDecoder, PlaneDecoder
from gen3d_tools.generators.settings import ModelSettings


class Reconstruction(LatentFree):
    """One object. Its pivot has no latent, and the camera that the photo was taken from."""

    family = "reconstruction"
    config_type = ReconstructionConfig
    config: ReconstructionConfig

    def __init__(self, config: ReconstructionConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        check_planes(config)
        size = config.plane_resolution
        self.planes = nn.Parameter(torch.zeros(3, config.plane_channels, size, size))
        self.decoder = PlaneDecoder(config)
        with torch.device("cpu"):  # also where the weights are built on "meta"
            self.pivot = Pivot(torch.empty(1, 0, 0), settings.default_view.mean(), None)

    @property
    def why_no_seeds(self) -> str:
        """One sentence for those who ask for a seed, a class or a latent."""
        return "this model is one object, made from a photo: it has no other seeds and no classes; leave them out"

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Give the object as often as there are latents; see `Generator.fields`."""
        return [field_of(self.planes, self.decoder, self.config, self.settings)] * len(ws)

    def save_compact(self, folder: Path, *, card: str | None = None) -> None:
        """Write a model folder with the planes in float16, about 1 MB at the published size.

        Args:
            folder: Where to; written whole or not at all.
            card: Text of the model card.
        """
        config = {"family": self.family, "network": self.config.to_dict(), **self.settings.to_dict()}
        write_folder(folder, config, self.state_dict(), card=card, halves=("planes",))


def check_planes(config: ReconstructionConfig) -> None:
    """Refuse sizes that make no planes and no decoder.

    Raises:
        ValueError: A size is 0.
    """
    sizes = (config.plane_resolution, config.plane_channels, config.decoder_width, config.decoder_layers)
    if min(sizes) < 1 or config.plane_resolution < 2:
        raise ValueError(
            f"planes of {sizes[0]} texels with {sizes[1]} channels and {sizes[3]} hidden layers of {sizes[2]} units "
            "make no field"
        )


def field_of(
    planes: Float[Tensor, "3 channels n n"],
    decoder: PlaneDecoder,
    config: ReconstructionConfig,
    settings: ModelSettings,
) -> TriplaneField:
    """Make a radiance field of published planes; gradients reach planes and decoder.

    Args:
        planes: As the network gives them, in its own axes.
        decoder: What reads them.
        config: What they are.
        settings: How the field wants to be used.
    """
    return TriplaneField(
        planes=decoder.fold(planes, mean=config.reduction == "mean"),
        decoder=FoldedDecoder(decoder),
        render_config=settings.render_config,
        box_side=config.box_side,
        plane_axes="xy-xz-yz",
        align_corners=False,
        combine="sum",
        outside="empty",  # there the decoder answers with a constant, which can be dense; the original stops there too
        density_activation=config.density_activation,
        density_shift=density_shift(config),
        iso_level=settings.iso_level,
    )


def density_shift(config: ReconstructionConfig) -> float:
    """What is added to the raw density before its activation.

    The published density is per way of a ray through the box, ours per world unit: for an exponential that is a
    further shift by the logarithm of the box's side. Other activations keep the published unit.
    """
    return config.density_bias - (math.log(config.box_side) if config.density_activation == "exp" else 0.0)


def ray_length(config: ReconstructionConfig) -> float:
    """What every ray's way through the box counts as in the published renderer, in the unit of the density."""
    return config.box_side if config.density_activation == "exp" else 1.0


def activated_level(config: ReconstructionConfig, published: float) -> float:
    """A level in the published unit, as density of our fields."""
    return published / ray_length(config)
