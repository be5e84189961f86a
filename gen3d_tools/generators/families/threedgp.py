"""3DGP: a tri-plane generator with a learned camera distribution and a depth adaptor.

Skorokhodov et al., "3D generation on ImageNet" (2023).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.conventions import YawZero
from gen3d_tools.cameras.distributions.priors import PosePrior
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.configs import PlaneConfig, ThreeDGPConfig
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator, PlaneSynthesis
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.networks.epigraf.camera_generator import CameraBounds, CameraGenerator
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.generators.networks.epigraf.depth_adaptor import DepthAdaptor
from gen3d_tools.generators.settings import ModelSettings

MEAN_CAMERA_SAMPLES = 1024


class ThreeDGPGenerator(PlaneGenerator):
    """3DGP."""

    family: ClassVar[str] = "threedgp"
    config: ThreeDGPConfig
    config_type: ClassVar[type[PlaneConfig]] = ThreeDGPConfig
    yaw_zero: ClassVar[YawZero] = "z"
    synthesis: "ThreeDGPSynthesis"

    def __init__(self, config: ThreeDGPConfig, settings: ModelSettings) -> None:
        if config.camera_generator and not isinstance(settings.camera_distribution, PosePrior):
            kind = settings.camera_distribution.kind
            raise CheckpointError(f'a camera generator needs cameras of kind "{PosePrior.kind}", got "{kind}"')
        super().__init__(config, settings)

    def build_synthesis(self, config: ThreeDGPConfig) -> "ThreeDGPSynthesis":
        """Build the backbone, the decoder and the adaptors."""
        return ThreeDGPSynthesis(config)

    def sample_cameras(
        self,
        n: int,
        seeds: Sequence[int],
        z: Float[Tensor, "b z_dim"] | None = None,
        classes: Sequence[str | int] | None = None,
    ) -> Camera:
        """Draw prior cameras and let the camera generator, if there is one, move them to where it wants them.

        Args:
            n: Number of cameras.
            seeds: One per camera.
            z: Latents of the samples they look at; by default those of the seeds.
            classes: Their classes; by default those that the seeds draw.
        """
        prior = self.settings.camera_distribution
        if self.synthesis.camera_adaptor is None or not isinstance(prior, PosePrior):
            return super().sample_cameras(n, seeds)
        z = latent_z(seeds, self.config.z_dim) if z is None else z
        if len(z) != n:
            raise InputError(f"got {len(z)} latents for {n} cameras; give one each")
        onehots = self.class_onehots(seeds, classes)
        return self.posterior_poses(prior.sample_poses(n, seeds), z, onehots).camera()

    def posterior_poses(
        self,
        prior: Pose,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
    ) -> Pose:
        """Let the camera generator move prior poses.

        Args:
            prior: Poses [b].
            z: Latents of the samples they look at.
            class_onehot: Their classes.

        Raises:
            InputError: This generator has no camera generator.
        """
        adaptor = self.synthesis.camera_adaptor
        if adaptor is None:
            raise InputError("this generator has no camera generator; its cameras are those of its prior")
        return Pose.from_parameters(adaptor(prior.parameters.to(self.device), z.to(self.device), class_onehot))

    def adapt_depth(self, distance: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Turn rendered distances into what a monocular depth estimator would say, nominally -1..1, near to far.

        Args:
            distance: `Frames.distance`.

        Raises:
            InputError: This generator has no depth adaptor.
        """
        adaptor = self.synthesis.depth_adaptor
        if adaptor is None:
            raise InputError("this generator has no depth adaptor; it was trained without depth")
        adapted: Tensor = adaptor(distance)
        return adapted


class ThreeDGPSynthesis(PlaneSynthesis):
    """The networks behind the mapping network."""

    def __init__(self, config: ThreeDGPConfig) -> None:
        decoder = PlaneDecoder(
            config.plane_channels,
            config.decoder_hidden,
            config.decoder_layers,
            color_activation=config.color_activation,
            density_gain=config.density_gain,
        )
        super().__init__(config, decoder)
        self.camera_adaptor = build_camera_generator(config) if config.camera_generator else None
        self.depth_adaptor = build_depth_adaptor(config) if config.depth_adaptor else None


def build_camera_generator(config: ThreeDGPConfig) -> CameraGenerator:
    """Build the camera generator, freshly initialised."""
    bounds = CameraBounds(
        low=config.camera_low,
        high=config.camera_high,
        adjust_angles=config.adjust_angles,
        adjust_radius=config.adjust_radius,
        adjust_fov=config.adjust_fov,
        adjust_look_at=config.adjust_look_at,
    )
    return CameraGenerator(
        bounds,
        z_dim=config.z_dim,
        num_classes=config.num_classes,
        hidden=config.camera_hidden,
        embed=config.camera_embed,
        lr_multiplier=config.camera_lr_multiplier,
        residual=config.camera_residual,
    )


def build_depth_adaptor(config: ThreeDGPConfig) -> DepthAdaptor:
    """Build the depth adaptor, freshly initialised.

    Raises:
        CheckpointError: Its maps would grow from layer to layer.
    """
    if config.depth_kernel_size % 2 == 0:
        raise CheckpointError(f"depth_kernel_size is {config.depth_kernel_size}; kernels have a middle, so give 3 or 5")
    return DepthAdaptor(
        config.depth_near,
        config.depth_far,
        kernel_size=config.depth_kernel_size,
        hidden=config.depth_hidden,
        layers=config.depth_layers,
        near_offset_fraction=config.depth_near_offset_fraction,
        strategy=config.depth_strategy,
    )


def script_video_config(config: RenderConfig, *, far_offset: float = 1.0, steps: int = 2) -> RenderConfig:
    """Give the settings of 3DGP's video script: rays that end later, and more samples.

    Args:
        config: The generator's own.
        far_offset: Added to where rays end, world units; nothing for rays through the box.
        steps: Multiplies both numbers of samples.
    """
    far = config.far if isinstance(config.far, str) else config.far + far_offset
    return replace(
        config, far=far, coarse_samples=steps * config.coarse_samples, fine_samples=steps * config.fine_samples
    )
