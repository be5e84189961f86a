"""The networks that a StyleNeRF config describes, and which sizes make none."""

from dataclasses import replace

from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.mlp import FrequencyEncoding
from gen3d_tools.generators.configs import StyleNerfConfig, doubled_resolutions
from gen3d_tools.generators.networks.stylenerf.field import FieldShape
from gen3d_tools.generators.networks.stylenerf.upsampler import LayerStyle, UpsampleStack

_MAX_OCTAVES = 24
_MAX_RESOLUTION = 4096


def foreground_shape(config: StyleNerfConfig) -> FieldShape:
    """What the foreground network is; one behind planes is plain and has no styles."""
    inputs = config.plane_channels or _encoded(config, "foreground", 3)
    return _shape(config, "foreground", inputs, styled=not config.plane_channels and not config.foreground_latent)


def background_shape(config: StyleNerfConfig) -> FieldShape:
    """What the background network is."""
    return _shape(config, "background", _encoded(config, "background", 4), styled=not config.background_latent)


def build_upsampler(config: StyleNerfConfig) -> UpsampleStack:
    """Build the blocks behind the rays, freshly initialised."""
    return UpsampleStack(
        doubled_resolutions(config.render_resolution, config.image_resolution),
        in_channels=config.feature_channels,
        style=_layer_style(config),
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        image_skip=config.image_skip,
        shared_rgb_row=config.shared_rgb_row,
    )


def build_plane_blocks(config: StyleNerfConfig) -> UpsampleStack:
    """Build the blocks that make the tri-planes: those of StyleGAN2, always with noise."""
    return UpsampleStack(
        doubled_resolutions(config.plane_start, config.plane_resolution),
        in_channels=0,
        style=replace(_layer_style(config), kernel_size=3, mode="default", use_noise=True),
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        image_channels=3 * config.plane_channels,
    )


def _layer_style(config: StyleNerfConfig) -> LayerStyle:
    return LayerStyle(
        w_dim=config.w_dim,
        kernel_size=config.kernel_size,
        mode=config.upsample_mode,
        use_noise=config.use_noise,
        conv_clamp=config.conv_clamp,
        normalised=config.normalised,
    )


def frequencies(config: StyleNerfConfig, which: str, axes: tuple[int, ...]) -> FrequencyEncoding:
    """What a field's first layer reads of a point.

    Args:
        config: Of the network.
        which: "foreground" or "background".
        axes: Which of our coordinates the network calls its first, second, ...
    """
    return FrequencyEncoding(
        axes,
        getattr(config, f"{which}_octaves"),
        getattr(config, f"{which}_divisor"),
        getattr(config, f"{which}_append_points"),
    )


def _encoded(config: StyleNerfConfig, which: str, coordinates: int) -> int:
    """Width of an encoded point."""
    octaves: int = getattr(config, f"{which}_octaves")
    appended: bool = getattr(config, f"{which}_append_points")
    return coordinates * (2 * octaves + appended) if octaves else coordinates


def _shape(config: StyleNerfConfig, which: str, inputs: int, *, styled: bool) -> FieldShape:
    return FieldShape(
        inputs=inputs,
        free_latent=getattr(config, f"{which}_latent"),
        styled=styled,
        width=getattr(config, f"{which}_width"),
        hidden_layers=getattr(config, f"{which}_layers"),
        features=config.feature_channels,
        rgb_beside_features=config.rgb_beside_features,
        reads_input_again=getattr(config, f"{which}_reads_input_again"),
        normalised=getattr(config, f"{which}_normalised"),
    )


def check_sizes(config: StyleNerfConfig) -> None:
    """Refuse sizes that make no network, before any is built."""
    sides = (config.start_resolution, config.render_resolution, config.image_resolution)
    if not 1 <= sides[0] <= sides[1] <= sides[2] <= _MAX_RESOLUTION:
        found = ", ".join(map(str, sides))
        raise CheckpointError(f"start, render and image resolution must ascend from 1 to {_MAX_RESOLUTION}: {found}")
    if any(side & (side - 1) for side in sides):
        raise CheckpointError(f"start, render and image resolution must be powers of two, got {sides}")
    if not 0 <= config.growth <= 1:
        raise CheckpointError(f"growth is {config.growth:g}, it must lie in 0..1")
    if min(config.foreground_layers, config.background_layers, config.mapping_layers) < 1:
        raise CheckpointError("the mapping network and both fields need at least one layer")
    if max(config.foreground_octaves, config.background_octaves) > _MAX_OCTAVES:
        raise CheckpointError(f"a positional encoding of more than {_MAX_OCTAVES} octaves is beyond float32")
    lengths = ("box_side", "plane_box_side", "foreground_divisor", "background_divisor")
    for name in (*lengths, "density_gain", "mapping_lr_multiplier"):
        if not 0 < getattr(config, name) < float("inf"):
            raise CheckpointError(f"{name} is {getattr(config, name):g}, it must be positive")
    if not 0 < config.background_start <= 1 or config.background_steps < 2:
        found = f"{config.background_start:g} and {config.background_steps}"
        raise CheckpointError(f"the background needs a start in 0..1 and at least 2 steps, got {found}")
    if config.plane_channels and (config.background or config.foreground_latent):
        raise CheckpointError("a foreground of planes has neither a background nor a latent of its own")
    if config.plane_channels and not doubled_resolutions(config.plane_start, config.plane_resolution):
        raise CheckpointError(f"planes of {config.plane_resolution} texels have no block above {config.plane_start}")
    if config.feature_channels < 1 or config.w_dim < 1 or config.z_dim < 1:
        raise CheckpointError("z_dim, w_dim and feature_channels must be at least 1")
