"""What the network of each family is: everything in the `network` section of `config.json`.

Torch is not imported here, so that a model can be described without it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from gen3d_tools.fields.choices import GeneratorActivation, HiddenActivation, PlaneAxes
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.reconstructor_configs import ReconstructionConfig, TripoSRConfig

NoiseMode = Literal["const", "random", "none"]
NoiseKind = Literal["spatial", "channel", "none"]
VariantName = Literal["8xdc", "8x", "4x", "2x", "deepfp32"]
ColorActivation = Literal["linear", "sigmoid"]
UpsampleMode = Literal[
    "default",
    "nn_cat",
    "nn_cat_noblur",
    "pixelshuffle",
    "pixelshuffle_noblur",
    "nearest",
    "bilinear",
    "bilinear_all",
    "bicubic",
]
BackgroundKind = Literal["none", "plane", "sphere"]
DepthStrategy = Literal["last", "mean"]


class TriplaneConfig(NetworkConfig):
    """What all families of tri-planes say."""

    plane_resolution: int
    plane_channels: int

    @property
    def scene(self) -> str:
        """The planes' number, size and channels."""
        return f"3 planes of {self.plane_resolution} x {self.plane_resolution}, {self.plane_channels} channels each"


@dataclass(frozen=True, kw_only=True)
class GeometryAwareConfig(TriplaneConfig):
    """What the network is. Stored in the checkpoint."""

    z_dim: int = 512
    w_dim: int = 512
    num_classes: int = 0  # 0 = unconditional
    embed_dim: int = 512  # width of the class embedding; keep it near z_dim, or z drowns in it
    mapping_layers: int = 2
    mapping_lr_multiplier: float = 0.01
    plane_resolution: int = 256
    plane_channels: int = 32
    channel_base: int = 32768
    channel_max: int = 512
    use_noise: bool = True
    extra_blocks: bool = True  # the paper's non-upsampling blocks; False gives EG3D's backbone
    decoder_hidden: tuple[int, ...] = (64, 64, 64)
    decoder_lr_multiplier: float = 1.0
    density_gain: float = 1.0
    density_shift: float = -1.0  # density = softplus(raw + shift), as in EG3D
    plane_axes: PlaneAxes = "xy-xz-zy"
    align_corners: bool = False
    box_side: float = 1.6
    bounded: bool = False  # True: density is exactly 0 outside the box


@dataclass(frozen=True, kw_only=True)
class EG3DConfig(TriplaneConfig):
    """What the network is. Stored in the checkpoint."""

    z_dim: int = 512
    w_dim: int = 512
    camera_dim: Literal[0, 25] = 25  # numbers of the conditioning camera; 0 = not conditioned
    # The camera is multiplied by this before the mapping network reads it. Networks trained without pose
    # conditioning read a zero camera (not the same as none), and a file without the setting means 0 as well.
    camera_scale: float = 1.0
    embed_dim: int = 512
    mapping_layers: int = 2
    mapping_width: int = 512
    mapping_lr_multiplier: float = 0.01
    plane_resolution: int = 256
    plane_channels: int = 32
    channel_base: int = 32768
    channel_max: int = 512
    use_noise: bool = True
    conv_clamp: float | None = None
    plane_axes: PlaneAxes = "xy-xz-zx"  # released weights were trained with the third plane transposed, not y-z
    box_side: float = 1.0
    decoder_width: int = 64
    feature_channels: int = 32  # what the decoder gives besides density; the first three are the colour
    decoder_lr_multiplier: float = 1.0
    density_noise: float = 0.0  # see TriplaneField
    super_resolution: VariantName = "8xdc"
    super_resolution_antialias: bool = True
    super_resolution_clamped: bool = True
    super_resolution_noise: NoiseMode = "none"
    render_resolution: int = 64  # rays along each side of the picture


@dataclass(frozen=True, kw_only=True)
class PlaneConfig(TriplaneConfig):
    """What the networks of both families are. Stored in the checkpoint."""

    later: ClassVar[tuple[str, ...]] = ("density_gain", "bounded")

    z_dim: int = 512
    w_dim: int = 512
    num_classes: int = 0  # 0 = unconditional
    camera_conditioned: bool = False  # the mapping network reads yaw and pitch
    mean_camera: tuple[float, ...] = (0.0, math.pi / 2, 0.0)  # yaw, pitch, ...: read when no camera is given
    mapping_layers: int = 2
    plane_resolution: int = 512
    plane_channels: int = 32
    channel_base: int = 32768
    channel_max: int = 512
    use_noise: bool = True
    conv_clamp: float | None = None
    decoder_layers: int = 2
    decoder_hidden: int = 64
    density_gain: float = 1.0  # density = softplus(gain * output + shift): how soon a young network can be opaque
    density_shift: float = 0.0
    box_side: float = 1.0
    bounded: bool = False  # True: density is exactly 0 outside the box
    image_resolution: int = 256


@dataclass(frozen=True, kw_only=True)
class EpigrafConfig(PlaneConfig):
    """What the network is. Stored in the checkpoint."""

    density_activation: GeneratorActivation = "softplus"
    view_conditioned: bool = False
    posenc_period: float = 0.0  # above 0: the decoder reads Fourier features of the point too
    background: BackgroundKind = "none"  # "plane": three more channels of the backbone, behind everything
    sphere_blocks: int = 2
    sphere_channel_base: int = 32768
    sphere_channel_max: int = 128
    sphere_posenc_period: float = 64.0
    sphere_steps: int = 8
    sphere_start: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ThreeDGPConfig(PlaneConfig):
    """What the network is. Stored in the checkpoint."""

    color_activation: ColorActivation = "linear"  # "sigmoid" belongs to the midpoint marcher
    camera_generator: bool = False
    # Prior bounds of yaw, pitch, field of view, and the look-at point's yaw, pitch and radius.
    camera_low: tuple[float, ...] = (0.0,) * 6
    camera_high: tuple[float, ...] = (0.0,) * 6
    camera_hidden: int = 256
    camera_embed: int = 16
    camera_lr_multiplier: float = 0.1
    camera_residual: bool = False
    adjust_angles: bool = True
    adjust_radius: bool = False
    adjust_fov: bool = True
    adjust_look_at: bool = True
    depth_adaptor: bool = False
    depth_near: float = 0.0  # where rays started and ended when the adaptor was made
    depth_far: float = 1.0
    depth_kernel_size: int = 5
    depth_hidden: int = 64
    depth_layers: int = 3
    depth_near_offset_fraction: float = 0.25
    depth_strategy: DepthStrategy = "last"


@dataclass(frozen=True, kw_only=True)
class VolumeGANConfig(NetworkConfig):
    """What the network is. Stored in the checkpoint."""

    z_dim: int = 512
    w_dim: Literal[512] = 512  # the style layers of the point network are built for 512, whatever else is asked for
    num_classes: int = 0
    embed_dim: int = 512
    embed_bias: bool = True
    embed_scaled: bool = True  # the weights of these layers have a run-time factor with gain and learning rate
    embed_gain: float = 1.0
    embed_lr_multiplier: float = 1.0
    normalize_z: bool = True
    normalize_embedding: bool = True
    normalize_embedded_z: bool = False  # z and embedding once more, together
    mapping_layers: int = 8
    mapping_width: int = 512
    mapping_scaled: bool = True
    mapping_gain: float = 1.0
    mapping_lr_multiplier: float = 0.01
    shared_w: bool = True  # one w for all rows; else the mapping network gives one for each
    volume_resolution: int = 32
    volume_start: int = 4  # voxels along each side of the learned constant
    volume_base_channels: int = 256
    volume_channels: int = 32
    # World corners at the centres of the outermost voxels: x, y, z of the lowest, then of the highest.
    volume_bounds: tuple[float, ...] = (-0.1886, -0.1671, -0.1956, 0.1887, 0.1692, 0.1872)
    posenc_count: int = 10
    posenc_max_log2: float = 9.0
    posenc_logarithmic: bool = True
    posenc_include_input: bool = True
    point_layers: int = 4
    point_width: int = 256
    point_activation: HiddenActivation = "lrelu"
    feature_channels: int = 512
    density_activation: GeneratorActivation = "relu"
    density_shift: float = 0.0
    box_side: float = 0.3
    render_resolution: int = 32  # rays along each side of the picture
    resolution: int = 256
    channel_base: int = 32768
    channel_max: int = 512
    renderer_scaled: bool = True
    renderer_gain: float = 1.0
    renderer_lr_multiplier: float = 1.0
    demodulate: bool = True
    noise: NoiseKind = "spatial"
    conv_clamp: float | None = None
    eps: float = 1e-8
    first_image: bool = False  # the first image is a convolution of the features; else their first three channels
    final_tanh: bool = False
    level: float = 0.0  # of progressive growing; 0 in a finished network

    @property
    def renderer_channels(self) -> list[int]:
        """Channels of the features and of each block behind them."""
        sides = [self.render_resolution]
        while sides[-1] < self.resolution:
            sides.append(2 * sides[-1])
        later = [min(self.channel_base // side, self.channel_max) for side in sides[1:]]
        return [self.feature_channels, *later]

    @property
    def num_ws(self) -> int:
        """Rows of `ws`: one per layer at points, two per block of the 2-D network, and two more."""
        return self.point_layers + 2 * len(self.renderer_channels)

    @property
    def scene(self) -> str:
        """The volume, and the network that reads it."""
        return (
            f"feature volume of {self.volume_resolution}^3 voxels, {self.volume_channels} channels; "
            f"network of {self.point_layers} x {self.point_width}; pictures from {self.render_resolution} x "
            f"{self.render_resolution} rays"
        )


@dataclass(frozen=True)
class Growth:
    """How far a network trained from small pictures to large ones has grown: its last block fades in.

    Attributes:
        blocks: How many blocks are in use.
        share: Of the last block's image in the picture, 1 for a grown network; the rest is the image before.
    """

    blocks: int
    share: float = 1.0


def doubled_resolutions(start: int, end: int) -> list[int]:
    """Powers of two above `start`, up to `end`."""
    return [2**k for k in range(1, int(math.log2(max(end, 1))) + 1) if start < 2**k <= end]


@dataclass(frozen=True, kw_only=True)
class StyleNerfConfig(NetworkConfig):
    """What the network is. Stored in the checkpoint. Defaults are those of the published FFHQ models."""

    later: ClassVar[tuple[str, ...]] = ("mapping_lr_multiplier",)

    z_dim: int = 512
    w_dim: int = 512
    num_classes: int = 0
    embed_dim: int = 512
    mapping_layers: int = 8
    mapping_width: int = 512
    mapping_lr_multiplier: float = 0.01
    image_resolution: int = 256
    render_resolution: int = 32  # rays along each side of the picture before it is enlarged
    start_resolution: int = 32  # of the smallest pictures in training
    growth: float = 1.0  # from pictures of the start resolution (0) to those of the image resolution (1)
    feature_channels: int = 256
    rgb_beside_features: bool = False  # the field's head gives colours beside the features, not read from them
    foreground_width: int = 128
    foreground_layers: int = 8
    foreground_octaves: int = 10  # of the positional encoding
    foreground_divisor: float = 1.0  # coordinates are divided by it
    foreground_append_points: bool = False  # the encoding ends with the coordinates themselves
    foreground_reads_input_again: bool = False
    foreground_normalised: bool = False  # layers divide their input by its magnitude in training
    foreground_latent: int = 0  # numbers of a latent of its own, which takes the place of the styles
    background: bool = True
    background_width: int = 64
    background_layers: int = 4
    background_octaves: int = 10
    background_divisor: float = 1.0
    background_append_points: bool = False
    background_reads_input_again: bool = False
    background_normalised: bool = False
    background_latent: int = 32
    background_steps: int = 4  # layers between the unit sphere and infinity
    background_start: float = 0.5  # inverse radius of the nearest
    latent_temperature: float = 0.65  # standard deviation of the latents that are not styles, as the scripts draw them
    plane_channels: int = 0  # above 0: the foreground reads three feature planes
    plane_start: int = 4  # half the resolution of the planes' first block
    plane_resolution: int = 256
    plane_box_side: float = 0.48  # side of the cube that the planes cover
    upsample_mode: UpsampleMode = "nn_cat"
    kernel_size: Literal[1, 3] = 1
    use_noise: bool = False
    conv_clamp: float | None = 256.0
    channel_base: int = 32768
    channel_max: int = 1024
    normalised: bool = True  # the upsampler's layers divide their input by its magnitude in training
    image_skip: bool = True
    shared_rgb_row: bool = False
    density_activation: GeneratorActivation = "relu"
    density_shift: float = 0.0
    density_gain: float = 1.0  # where intervals were measured in shares of the depth range in training: 1 / range
    box_side: float = 0.24  # far - near
    every_kth_ray: bool = False  # the small picture's rays are every k-th of the large one's, from the upper left

    def levels(self) -> list[int]:
        """Resolutions of the pictures in training, after the first."""
        low = doubled_resolutions(self.start_resolution, self.render_resolution)
        return low + doubled_resolutions(self.render_resolution, self.image_resolution)

    def grown(self) -> Growth | None:
        """How many blocks of the upsampler are in use; None while the rendered picture is the final one."""
        low = len(doubled_resolutions(self.start_resolution, self.render_resolution))
        blocks = len(doubled_resolutions(self.render_resolution, self.image_resolution))
        if self.growth == 1 or self.growth == 0:
            return Growth(blocks) if self.growth and blocks else None
        level = self.growth * len(self.levels())
        used = int(level) + 1 - low
        return Growth(used, level - int(level)) if used > 0 else None

    @property
    def picture_resolution(self) -> int | None:
        """Side of the pictures that the upsampler gives; None while the rendered picture is the final one."""
        growth = self.grown()
        if growth is None:
            return None
        return doubled_resolutions(self.render_resolution, self.image_resolution)[growth.blocks - 1]

    @property
    def scene(self) -> str:
        """The networks' layers and widths, or the planes, and the rays that are enlarged."""
        parts = [f"perceptron of {self.foreground_layers} layers, {self.foreground_width} wide"]
        if self.plane_channels:
            side = self.plane_resolution
            parts.append(f"on 3 planes of {side} x {side}, {self.plane_channels} channels each")
        if self.background:
            parts.append(f"background of {self.background_layers} layers, {self.background_width} wide")
        rays = f"{self.render_resolution} x {self.render_resolution} rays"
        if doubled_resolutions(self.render_resolution, self.image_resolution):
            enlarged = self.picture_resolution
            parts.append(f"{rays} enlarged to {enlarged}" if enlarged else rays)
        return ", ".join(parts)


CONFIGS: dict[str, type[NetworkConfig]] = {
    "eg3d": EG3DConfig,
    "epigraf": EpigrafConfig,
    "geometry_aware": GeometryAwareConfig,
    "reconstruction": ReconstructionConfig,
    "stylenerf": StyleNerfConfig,
    "threedgp": ThreeDGPConfig,
    "triposr": TripoSRConfig,
    "volumegan": VolumeGANConfig,
}
"""Family in `config.json` -> its config; `loading.FAMILIES` has the generators."""

BUFFERS = ("noise", "noise_const", "progress_coef", "w_avg")
"""Last part of the names of stored tensors that are no trained numbers."""
