"""How a trained generator wants to be used: everything in `config.json` that is not the network itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gen3d_tools.cameras.distributions.named import CameraDistribution, FixedCamera, distribution_from_dict
from gen3d_tools.fields.render_config import RenderConfig

if TYPE_CHECKING:
    from gen3d_tools.cameras.camera import Camera

_SAME_DISTANCE = 0.01  # share of the model's camera distance that its near and far forgive
_WHOLE_TURN_DEG = 359.5  # what nobody can tell from a whole turn


@dataclass(frozen=True, kw_only=True)
class TrustedViews:
    """From where the training data was seen; outside, a GAN's picture is a guess. Degrees."""

    yaw_min_deg: float = -180.0
    yaw_max_deg: float = 180.0
    pitch_min_deg: float = -90.0
    pitch_max_deg: float = 90.0

    @property
    def all_around(self) -> bool:
        """Whether objects are known from every side."""
        return self.yaw_max_deg - self.yaw_min_deg >= _WHOLE_TURN_DEG


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Rendering defaults, cameras, classes and origin of one trained generator."""

    render_config: RenderConfig
    camera_distribution: CameraDistribution
    default_view: FixedCamera
    trusted_views: TrustedViews = TrustedViews()
    iso_level: float = 10.0  # suggested surface for meshing, as activated density
    class_names: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)  # source, sha256, converter, training figures
    licence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the sections of `config.json`."""
        return {
            "rendering": self.render_config.to_dict(),
            "cameras": {
                "distribution": self.camera_distribution.to_dict(),
                "default": self.default_view.to_dict(),
                "trusted": asdict(self.trusted_views),
            },
            "iso_level": self.iso_level,
            "class_names": list(self.class_names),
            "provenance": dict(self.provenance),
            "licence": self.licence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelSettings":
        """Read what `to_dict` wrote.

        Args:
            values: The sections, as `checkpoints.native.read_config` gives them: every value is in its range.

        Raises:
            CheckpointError: Values do not fit together.
        """
        cameras = values["cameras"]
        default = distribution_from_dict(cameras["default"])
        assert isinstance(default, FixedCamera), "the schema has refused other kinds"
        return cls(
            render_config=RenderConfig.from_dict(values["rendering"]),
            camera_distribution=distribution_from_dict(cameras["distribution"]),
            default_view=default,
            trusted_views=TrustedViews(**cameras["trusted"]),
            iso_level=float(values["iso_level"]),
            class_names=tuple(values["class_names"]),
            provenance=values["provenance"],
            licence=values["licence"],
        )


def config_for(cameras: "Camera", settings: ModelSettings) -> RenderConfig:
    """Give render settings under which no picture cuts the object off.

    A model's near and far fit its own camera's distance from the origin. Where a path comes closer or goes
    farther, rays run through the field's box instead, which is centred there and holds the whole object.
    """
    view, config = settings.default_view, settings.render_config
    distance, own = cameras.position.norm(dim=-1), view.mean().position.norm().to(cameras.device)
    if ((distance / own - 1).abs() <= _SAME_DISTANCE).all() or config.spacing == "disparity":
        return config
    return replace(config, near="box", far="box")
