"""3DGP's learned camera distribution (section 3.2 there): prior cameras in, posterior cameras out.

Cameras are rows of eight numbers: yaw, pitch, roll, field of view, radius, and the look-at point's yaw, pitch and
radius (see `cameras.poses.Pose.parameters`).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.networks.layers import FullyConnected, normalize_second_moment

BOUNDED = (0, 1, 3, 5, 6, 7)
"""The numbers with bounds: all but roll and radius."""
_PITCH_MARGIN = 1e-5
_PITCH, _ROLL = 1, 2
_TO_ORIGIN = (0, 1, 2, 4)  # what the first network reads and writes
_TO_REST = (3, 5, 6, 7)  # what the second one writes


@dataclass(frozen=True, kw_only=True)
class CameraBounds:
    """Prior bounds of yaw, pitch, field of view, and the look-at point's yaw, pitch and radius; its switches."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    adjust_angles: bool = True
    adjust_radius: bool = False
    adjust_fov: bool = True
    adjust_look_at: bool = True

    def __post_init__(self) -> None:
        if not len(self.low) == len(self.high) == len(BOUNDED):
            raise ValueError(f"need {len(BOUNDED)} bounds on each side, got {len(self.low)} and {len(self.high)}")

    def adjusted(self) -> list[bool]:
        """Which of the eight numbers are replaced."""
        look_at = [self.adjust_look_at] * 3
        return [*[self.adjust_angles] * 3, self.adjust_fov, self.adjust_radius, *look_at]


class Adaptor(nn.Module):
    """A network with softplus layers from a few camera numbers, and maybe z and the class, to four."""

    def __init__(
        self, numbers: int, *, z_dim: int, num_classes: int, hidden: int, embed: int, lr_multiplier: float
    ) -> None:
        super().__init__()

        def layer(a: int, b: int) -> FullyConnected:
            return FullyConnected(a, b, activation="softplus", lr_multiplier=lr_multiplier)

        self.project_params = layer(numbers, hidden)
        if z_dim:
            self.project_z = layer(z_dim, embed)
        if num_classes:
            self.project_c = layer(num_classes, embed)
        width = hidden + embed * (bool(z_dim) + bool(num_classes))
        self.main = nn.Sequential(layer(width, hidden), FullyConnected(hidden, 4, lr_multiplier=lr_multiplier))
        self.conditions = [name for name, size in (("project_z", z_dim), ("project_c", num_classes)) if size]

    def forward(self, numbers: Float[Tensor, "b numbers"], conditions: dict[str, Tensor]) -> Float[Tensor, "b 4"]:
        """Apply the network; `conditions` are z and the class by the names of their layers."""
        parts = [self.project_params(numbers)]
        parts += [normalize_second_moment(self.get_submodule(name)(conditions[name])) for name in self.conditions]
        adapted: Tensor = self.main(torch.cat(parts, -1))
        return adapted


class CameraGenerator(nn.Module):
    """From prior to posterior cameras.

    Args:
        bounds: Prior bounds and switches.
        z_dim: Size of z.
        num_classes: 0 = unconditional.
        hidden: Width of the networks.
        embed: Width of the embeddings of z and class.
        lr_multiplier: Equalised learning rate.
        residual: The networks' outputs are added to the normalised prior.
    """

    def __init__(
        self,
        bounds: CameraBounds,
        *,
        z_dim: int,
        num_classes: int,
        hidden: int,
        embed: int,
        lr_multiplier: float,
        residual: bool,
    ) -> None:
        super().__init__()
        self.bounds, self.residual = bounds, residual
        options = {"num_classes": num_classes, "hidden": hidden, "embed": embed}
        self.origin_adaptor = Adaptor(4, z_dim=0, lr_multiplier=lr_multiplier, **options)
        self.look_at_adaptor = Adaptor(8, z_dim=z_dim, lr_multiplier=lr_multiplier, **options)

    def forward(
        self,
        prior: Float[Tensor, "b 8"],
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
    ) -> Float[Tensor, "b 8"]:
        """Move prior cameras to where the generator wants them for z and class."""
        posterior = self.denormalize(self.adapt(self.normalize(prior), z, class_onehot))
        return torch.where(torch.tensor(self.bounds.adjusted(), device=prior.device), posterior, prior)

    def normalize(self, cameras: Float[Tensor, "b 8"]) -> Float[Tensor, "b 8"]:
        """Bring bounded numbers to 0..1."""
        low, size = self._bounds(cameras)
        scaled = (cameras[:, BOUNDED] - low) / (size + 1e-8)
        return cameras.index_copy(1, _indices(BOUNDED, cameras), scaled)

    def adapt(
        self,
        normalized: Float[Tensor, "b 8"],
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
    ) -> Float[Tensor, "b 8"]:
        """Apply both networks; bounded numbers come out before their sigmoid."""
        conditions = {"project_z": z} if class_onehot is None else {"project_z": z, "project_c": class_onehot}
        origins = self.origin_adaptor(normalized[:, _TO_ORIGIN], conditions)
        placed = normalized.index_copy(1, _indices(_TO_ORIGIN, normalized), origins)
        adapted = placed.index_copy(1, _indices(_TO_REST, placed), self.look_at_adaptor(placed, conditions))
        return adapted + normalized if self.residual else adapted

    def denormalize(self, adapted: Float[Tensor, "b 8"]) -> Float[Tensor, "b 8"]:
        """Bring the networks' outputs within the bounds. The roll is 0 and the radius as it comes."""
        low, size = self._bounds(adapted)
        low, size = low.clone(), size.clone()
        low[_PITCH] += _PITCH_MARGIN
        size[_PITCH] -= 2 * _PITCH_MARGIN
        # Trained weights expect this: the look-at radius begins at the bound of the look-at *pitch*. Both are 0 in
        # all published configurations.
        highest = low[-1] + size[-1]
        low[-1] = low[-2]
        size[-1] = highest - low[-1]
        placed = adapted.index_copy(1, _indices(BOUNDED, adapted), adapted[:, BOUNDED].sigmoid() * size + low)
        return placed.index_fill(1, _indices((_ROLL,), placed), 0.0)

    def _bounds(self, like: Tensor) -> tuple[Float[Tensor, " 6"], Float[Tensor, " 6"]]:
        """Lower ends and sizes of the ranges."""
        low, high = (like.new_tensor(ends) for ends in (self.bounds.low, self.bounds.high))
        return low, high - low


def _indices(columns: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.tensor(columns, device=like.device)
