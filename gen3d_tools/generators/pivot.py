"""The one object a tuned generator is about."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.errors import InputError

_LEAST_RADIUS = 1e-3  # world units; a camera that looks away from the object still needs a point ahead


@dataclass(frozen=True, eq=False)
class Pivot:
    """The latent that a generator was tuned around, and from where its photo was taken (pivotal tuning inversion).

    Raises:
        InputError: Not exactly one latent, or not exactly one camera.
    """

    ws: Float[Tensor, "1 num_ws w_dim"]
    """The latent of the object."""

    camera: Camera
    """The photo's camera, without leading axes."""

    class_index: int | None = None
    """The object's class; None for an unconditional generator."""

    def __post_init__(self) -> None:
        if len(self.ws) != 1 or self.camera.batch_shape:
            found = f"{len(self.ws)} latents and cameras of shape {list(self.camera.batch_shape)}"
            raise InputError(f"a pivot is one latent and one camera, got {found}")

    def view(self, around: tuple[float, float, float]) -> FixedCamera:
        """Give the photo's camera as yaw, pitch and radius, so that paths can go round the object from there.

        It looks at the point of its axis nearest to `around`. A tilt of the picture and a lens that is not centred
        cannot be said this way: `camera` has them.

        Args:
            around: World point in the middle of the object.
        """
        position, forward = self.camera.position, self.camera.forward
        ahead = float((forward.new_tensor(around) - position) @ forward)
        target = position + max(ahead, _LEAST_RADIUS) * forward
        yaw, pitch, radius = self.camera.spherical(target)
        x, y, z = target.tolist()
        return FixedCamera(
            radius=float(radius),
            fov_y_deg=float(self.camera.fov_y_deg),
            target=(x, y, z),
            yaw_deg=float(yaw),
            pitch_deg=float(pitch),
        )
