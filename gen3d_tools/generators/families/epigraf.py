"""EpiGRAF: a tri-plane generator trained on patches, with an optional background.

Skorokhodov et al., "EpiGRAF: Rethinking training of 3D GANs" (2022). Its aligned objects face +x; see `Pose`.
"""

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.conventions import YawZero
from gen3d_tools.fields.backdrop import Backdrop, ScreenBackdrop, SphereBackdrop
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import EpigrafConfig, PlaneConfig
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator, PlaneSynthesis
from gen3d_tools.generators.families.triplane import split_planes
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.generators.networks.epigraf.sphere_network import SampleSphere, SphereNetwork


class EpigrafGenerator(PlaneGenerator):
    """EpiGRAF with its backgrounds."""

    family: ClassVar[str] = "epigraf"
    config: EpigrafConfig
    config_type: ClassVar[type[PlaneConfig]] = EpigrafConfig
    yaw_zero: ClassVar[YawZero] = "x"
    synthesis: "EpigrafSynthesis"

    def build_synthesis(self, config: EpigrafConfig) -> "EpigrafSynthesis":
        """Build the backbone, the decoder and the background network."""
        return EpigrafSynthesis(config)

    @property
    def num_ws(self) -> int:
        """2 log2(R) - 2 for planes of resolution R, then those of the background network."""
        sphere = self.synthesis.bg_model
        return super().num_ws + (0 if sphere is None else sphere.num_ws)

    @property
    def density_activation(self) -> DensityActivation:
        """From raw density to density, in front and in the background."""
        return self.config.density_activation

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Compute each sample's planes once and give them as fields before their backdrops."""
        made = []
        for one in ws:
            image = self.synthesize(one[None], dtype=dtype)
            field = self.field(split_planes(image[:, : 3 * self.config.plane_channels])[0])
            made.append(self.with_backdrop(field, one, image[0]))
        return made

    def with_backdrop(
        self,
        field: TriplaneField,
        ws: Float[Tensor, "num_ws w_dim"],
        image: Float[Tensor, "channels h w"],
        *,
        in_patches: bool = False,
    ) -> TriplaneField:
        """Put what lies behind one sample behind its field; see `backdrop`."""
        return replace(field, backdrop=self.backdrop(ws, image, in_patches=in_patches))

    def backdrop(
        self, ws: Float[Tensor, "num_ws w_dim"], image: Float[Tensor, "channels h w"], *, in_patches: bool = False
    ) -> Backdrop | None:
        """What lies behind one sample.

        Args:
            ws: Its latents.
            image: The backbone's channels.
            in_patches: Whether patches of the picture will be rendered, as in training. They are cut out of a
                backdrop of the pictures' size; a whole picture, of any size, shows the backbone's own texels.
        """
        if self.config.background == "plane":
            picture = image[3 * self.config.plane_channels :]
            if in_patches:
                sides = (self.config.image_resolution,) * 2
                picture = F.interpolate(picture[None], sides, mode="bilinear", align_corners=True)[0]
            return ScreenBackdrop((picture + 1) / 2)
        network = self.synthesis.bg_model
        if network is None:
            return None
        return SphereBackdrop(
            network=SampleSphere(network, ws[self.synthesis.tri_plane_decoder.num_ws :]),
            layers_per_ray=self.config.sphere_steps,
            start=self.config.sphere_start,
            density_activation=self.config.density_activation,
        )


class EpigrafSynthesis(PlaneSynthesis):
    """The networks behind the mapping network."""

    def __init__(self, config: EpigrafConfig) -> None:
        decoder = PlaneDecoder(
            config.plane_channels,
            config.decoder_hidden,
            config.decoder_layers,
            posenc_period=config.posenc_period,
            view_conditioned=config.view_conditioned,
            density_gain=config.density_gain,
        )
        super().__init__(config, decoder, more_channels=3 * (config.background == "plane"))
        self.bg_model = build_sphere(config) if config.background == "sphere" else None


def build_sphere(config: EpigrafConfig) -> SphereNetwork:
    """Build the background network, freshly initialised."""
    return SphereNetwork(
        w_dim=config.w_dim,
        blocks=config.sphere_blocks,
        channel_base=config.sphere_channel_base,
        channel_max=config.sphere_channel_max,
        posenc_period=config.sphere_posenc_period,
    )
