"""StyleNeRF generators small enough for every test, with random weights, and pickles of them."""

from dataclasses import replace

import torch

from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.configs import StyleNerfConfig
from gen3d_tools.generators.families.stylenerf import StyleNerfGenerator
from gen3d_tools.generators.settings import ModelSettings
from tests.support.official_pickles import official_bytes, persistent

CAMERA = {
    "range_u": [-0.3, 0.3],
    "range_v": [1.4157963267948965, 1.7257963267948966],
    "range_radius": [1.0, 1.0],
    "depth_range": [0.88, 1.12],
    "fov": 12,
    "gaussian_camera": True,
    "angular_camera": True,
    "ray_align_corner": False,
    "bg_start": 0.5,
}
RENDERER = {"n_ray_samples": 8, "n_bg_samples": 3, "no_background": False}
CONFIG = StyleNerfConfig(
    z_dim=8,
    w_dim=12,
    embed_dim=12,
    mapping_width=12,
    mapping_layers=2,
    image_resolution=16,
    render_resolution=4,
    start_resolution=4,
    feature_channels=6,
    foreground_width=10,
    foreground_layers=3,
    foreground_octaves=3,
    background_width=6,
    background_layers=2,
    background_octaves=2,
    background_latent=5,
    background_steps=3,
    channel_base=128,
    channel_max=8,
)
RENDERING = RenderConfig(
    near=0.88,
    far=1.12,
    coarse_samples=8,
    fine_samples=8,
    jitter="ends",
    marcher="classical",
    background="grey",
    importance="bare",
    distance_rule="sum",
    limits_along="axis",
)


def build(**changes) -> StyleNerfGenerator:
    """Build a generator whose density is neither nothing nor everything."""
    config = replace(CONFIG, **changes)
    view = FixedCamera(radius=1.0, fov_y_deg=12.0)
    names = tuple(map(str, range(config.num_classes)))
    rendering = RENDERING if config.background else replace(RENDERING, background="last")
    settings = ModelSettings(
        render_config=rendering, camera_distribution=view, default_view=view, iso_level=5.0, class_names=names
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = StyleNerfGenerator(config, settings)
    with torch.no_grad():
        generator.foreground.sigma_out.weight.mul_(30)
    return generator.eval().requires_grad_(False)


def arguments(config: StyleNerfConfig = CONFIG, **synthesis) -> dict:
    """Arguments of the published constructor that make a generator of this config."""
    return {
        "z_dim": config.z_dim,
        "c_dim": config.num_classes,
        "w_dim": config.w_dim,
        "img_resolution": config.image_resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": config.mapping_layers},
        "synthesis_kwargs": {
            "channel_base": config.channel_base / 32768,
            "channel_max": config.channel_max,
            "conv_clamp": 256,
            "kernel_size": 1,
            "upsample_mode": config.upsample_mode,
            "use_noise": False,
            "magnitude_ema_beta": 0.999,
            "z_dim": 0,
            "z_dim_bg": config.background_latent,
            "resolution_vol": config.render_resolution,
            "resolution_start": config.start_resolution,
            "rgb_out_dim": config.feature_channels,
            "progressive": True,
            "camera_kwargs": dict(CAMERA),
            "renderer_kwargs": dict(RENDERER),
            "foreground_kwargs": {"hidden_size": 10, "n_blocks": 3, "n_freq_posenc": 3, "predict_rgb": True},
            "background_kwargs": {
                "hidden_size": 6,
                "n_blocks": 2,
                "n_freq_posenc": 2,
                "predict_rgb": True,
                "inverse_sphere": True,
            },
            "upsampler_kwargs": {},
            **synthesis,
        },
    }


def tensors(generator: StyleNerfGenerator, alpha: float = 1.0) -> dict[str, torch.Tensor]:
    """The state dict under the published names."""
    found = {official_name(name): tensor for name, tensor in generator.state_dict().items()}
    return {"synthesis.alpha": torch.tensor(float(alpha)), **found}


def official_name(name: str) -> str:
    """The published name of one of our tensors; of another family's the name itself."""
    names = {"foreground.": "fg_nerf.", "background.": "bg_nerf.", "upsampler.": "", "plane_blocks.b": "in_b"}
    for ours, theirs in names.items():
        if name.startswith(ours):
            return f"synthesis.{theirs}{name.removeprefix(ours)}"
    return name


def stylenerf_bytes(kwargs: dict | None = None, params: dict | None = None, *, live: dict | None = None, **options):
    """Write a published snapshot; `live` replaces what the camera and the renderer object hold."""
    kwargs = arguments() if kwargs is None else kwargs
    objects = {"C": ("CameraRay", dict(CAMERA)), "V": ("VolumeRenderer", dict(RENDERER))}
    for name, values in (live or {}).items():
        objects[name] = (objects[name][0], values)
    held = {name: persistent(kind, values, "stylenerf") for name, (kind, values) in objects.items()}
    params = tensors(build()) if params is None else params
    names = {"synthesis": "NeRFSynthesisNetwork"}
    attributes = {"synthesis": held}
    return official_bytes("stylenerf", kwargs, params, attributes=attributes, class_names=names, **options)
