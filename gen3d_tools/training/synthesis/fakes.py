"""What a generator in training is asked for, and what it gives."""

from dataclasses import dataclass, fields, replace

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.poses import Pose


@dataclass(frozen=True, eq=False)
class Request:
    """What the fakes of a round are made of."""

    z: Float[Tensor, "b z_dim"]
    class_onehot: Float[Tensor, "b classes"] | None = None
    poses: Pose | None = None
    """Cameras as angles, before the camera generator; for EpiGRAF and 3DGP."""
    labels: Float[Tensor, "b 25"] | None = None
    """Cameras as EG3D's numbers."""
    told_angles: Float[Tensor, "b 3"] | None = None
    """What the mapping network is told of the camera; for networks conditioned on it."""
    later_z: Float[Tensor, "b z_dim"] | None = None
    """Other latents of the same classes, for the layers from `later_from` on (style mixing, Karras et al. 2019)."""
    later_from: int = 0

    def __len__(self) -> int:
        return len(self.z)


@dataclass(frozen=True, eq=False)
class Fakes:
    """Pictures in [-1, 1] that carry gradients."""

    images: Float[Tensor, "b channels n n"]
    """Colour, and the adapted depth as a fourth channel where the generator has an adaptor."""
    raw_images: Float[Tensor, "b 3 m m"] | None = None
    """What the rays alone saw, before a super-resolution."""
    angles: Float[Tensor, "b 3"] | None = None
    """Yaw, pitch and roll that were rendered."""
    ws: Float[Tensor, "b num_ws w_dim"] | None = None
    opaque: Float[Tensor, " b"] | None = None
    """Share of the box that is solid, where it was asked for."""

    def detached(self) -> "Fakes":
        """The same without gradients."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: part.detach() for name, part in parts.items() if part is not None})
