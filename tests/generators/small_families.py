"""A small generator of every family, freshly initialised: all that a published one has, a few channels wide."""

from collections.abc import Callable
from dataclasses import replace

from gen3d_tools.cameras.distributions.named import FixedCamera, UniformSphere
from gen3d_tools.cameras.distributions.priors import PosePrior, Spread, fixed
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.eg3d import EG3DConfig, EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafConfig, EpigrafGenerator
from gen3d_tools.generators.families.geometry_aware import GeometryAwareConfig, GeometryAwareGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPConfig, ThreeDGPGenerator
from gen3d_tools.generators.settings import ModelSettings

SETTINGS = ModelSettings(
    render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=8, fine_samples=6),
    camera_distribution=UniformSphere(radius=2.7, fov_y_deg=20.0),
    default_view=FixedCamera(radius=2.7, fov_y_deg=20.0, yaw_deg=35.0),
)
CLASSES = replace(SETTINGS, class_names=("ball", "cube"))
PRIOR = PosePrior(
    yaw=Spread(shape="uniform", low=-1.0, high=1.0), pitch=fixed(1.5), fov_deg=fixed(20.0), radius=fixed(2.7)
)
POSED = replace(CLASSES, camera_distribution=PRIOR)
PLANES = {"w_dim": 8, "plane_resolution": 16, "plane_channels": 4, "channel_base": 64, "channel_max": 8}


def geometry_aware() -> Generator:
    """Two classes, extra blocks, noise, empty outside its box."""
    config = GeometryAwareConfig(z_dim=6, num_classes=2, embed_dim=4, decoder_hidden=(8, 8), bounded=True, **PLANES)
    return GeometryAwareGenerator(config, CLASSES)


def eg3d() -> Generator:
    """A super-resolution from 12 rays a side."""
    config = EG3DConfig(
        z_dim=6,
        embed_dim=5,
        mapping_width=7,
        decoder_width=8,
        feature_channels=5,
        super_resolution="2x",
        render_resolution=12,
        **PLANES,
    )
    return EG3DGenerator(config, SETTINGS)


def epigraf(background: str = "none") -> Generator:
    """Rays through the box, colours that depend on the direction."""
    rendering = RenderConfig(
        near=2.2, far=3.2, coarse_samples=8, fine_samples=6, marcher="classical", jitter="intervals"
    )
    config = EpigrafConfig(z_dim=6, decoder_hidden=8, background=background, sphere_channel_max=8, **PLANES)
    return EpigrafGenerator(config, replace(SETTINGS, render_config=rendering))


def threedgp() -> Generator:
    """Two classes, a camera generator and a depth adaptor."""
    config = ThreeDGPConfig(
        z_dim=6,
        num_classes=2,
        decoder_hidden=8,
        camera_generator=True,
        camera_low=(-1.0, 1.2, 15.0, -1.0, 1.0, 0.0),
        camera_high=(1.0, 1.8, 25.0, 1.0, 2.0, 0.1),
        camera_hidden=8,
        camera_embed=4,
        depth_adaptor=True,
        depth_near=2.2,
        depth_far=3.2,
        depth_hidden=4,
        **PLANES,
    )
    return ThreeDGPGenerator(config, POSED)


FAMILIES: dict[str, Callable[[], Generator]] = {
    "geometry_aware": geometry_aware,
    "eg3d": eg3d,
    "epigraf": epigraf,
    "epigraf-plane": lambda: epigraf("plane"),
    "epigraf-sphere": lambda: epigraf("sphere"),
    "threedgp": threedgp,
}
