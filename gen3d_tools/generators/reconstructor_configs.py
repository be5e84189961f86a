"""What a network from a photo to a field is, and what an object that it made is. Torch is not imported here."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.generators.network_config import NetworkConfig

Reduction = Literal["concat", "mean"]
PlaneActivation = Literal["silu", "relu", "softplus"]
FeedForward = Literal["geglu", "gelu"]


@dataclass(frozen=True, kw_only=True)
class ReconstructionConfig(NetworkConfig):
    """One object: three planes and the decoder that reads them. Stored in the checkpoint.

    Defaults are those of the published TripoSR.
    """

    plane_resolution: int = 64
    plane_channels: int = 40
    reduction: Reduction = "concat"  # the decoder reads the three planes' features side by side, or their mean
    decoder_width: int = 64
    decoder_layers: int = 9  # hidden ones
    decoder_activation: PlaneActivation = "silu"
    decoder_bias: bool = True
    density_activation: DensityActivation = "exp"
    density_bias: float = -1.0  # added to the raw density; TripoSR's density is per way of a ray through the box
    box_side: float = 1.74  # twice TripoSR's radius

    @property
    def decoder_inputs(self) -> int:
        """Features that the decoder reads."""
        return self.plane_channels * (3 if self.reduction == "concat" else 1)

    @property
    def scene(self) -> str:
        """The planes' number, size and channels."""
        return f"3 planes of {self.plane_resolution} x {self.plane_resolution}, {self.plane_channels} channels each"


@dataclass(frozen=True, kw_only=True)
class TripoSRConfig(ReconstructionConfig):
    """What the network is. Stored in the checkpoint. Defaults are those of the published model."""

    image_resolution: int = 512  # of the picture that it looks at
    patch_size: int = 16
    trained_patches: int = 14  # along each side of the pictures that the position embeddings were made for
    image_width: int = 768
    image_layers: int = 12
    image_heads: int = 12
    image_hidden: int = 3072
    channels: int = 1024  # of the tri-plane tokens
    heads: int = 16
    head_width: int = 64
    backbone_layers: int = 16
    norm_groups: int = 32
    attention_bias: bool = False
    feed_forward: FeedForward = "geglu"

    @property
    def tokens_resolution(self) -> int:
        """Tri-plane tokens along each side of a plane; the upsampler doubles them."""
        return self.plane_resolution // 2

    def of_an_object(self) -> ReconstructionConfig:
        """What the objects are that it makes."""
        names = [field.name for field in fields(ReconstructionConfig)]
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        return ReconstructionConfig(**values)
