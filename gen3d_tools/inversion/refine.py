"""An object that a network made of a photo, made sharper in that photo's view: its camera, then stage two on planes.

The network guesses lens and tilt, and nobody says what it took them for. Planes that are tuned around a camera a few
degrees beside the right one bend the object, so the camera is found first, with the object as it is. Then the planes
move. The decoder stays: it is the network's knowledge of what planes mean. What the photo does not show is held by the
locality, as in pivotal tuning.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.generators.reconstructor_configs import ReconstructionConfig
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction, field_of
from gen3d_tools.inversion.adam import Adam
from gen3d_tools.inversion.finite import check_gradients
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.camera_fit import OFFSETS, CameraFit
from gen3d_tools.inversion.stages.objective import Objective, Target, target_of
from gen3d_tools.inversion.stages.stage_one import learning_rate_share
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.photos.photo import Photo

REFINING_STEPS: dict[str, int] = {"fast": 24, "balanced": 50, "best": 200}
"""Steps on the planes by preset. They take more than tuning: with half of them at half as much again, photos of five
toys came to 26 dB instead of 28."""

_FINE_SAMPLES = 16
_LR = 0.02  # of the planes' root mean square
_TILTS = (0.0, -15.0, 15.0, 30.0, 45.0)  # degrees of pitch from which the search for the camera begins
_CAMERA_STEPS = 30
_CAMERA_LR = 0.02  # radians, shares and picture heights
_CAMERA_SIZE = 48  # pixels along each side
_MOVES = ("pitch", "zoom", "right", "up")
"""What the network had to guess. The photo is from the front by definition: a yaw that is free makes up for a wrong
shape (a mug's went 6 degrees astray), and a default view cannot roll."""


class PlanesAlone(LatentFree):
    """An object whose planes are all that is trained."""

    family = "reconstruction"
    config_type = ReconstructionConfig
    config: ReconstructionConfig

    def __init__(self, made: Reconstruction) -> None:
        super().__init__(made.config, made.settings)
        self.planes = nn.Parameter(made.planes.detach().clone())
        self._decoder = (made.decoder,)  # in a tuple, so that it is no part of this module

    @property
    def why_no_seeds(self) -> str:
        """One sentence for those who ask for a seed, a class or a latent."""
        return "this is one object, made from a photo: it has no other seeds and no classes"

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Give the object as often as there are latents."""
        return [field_of(self.planes, self._decoder[0], self.config, self.settings)] * len(ws)


def refine(
    made: Reconstruction,
    photo: Photo,
    settings: InversionSettings,
    *,
    progress: Callable[[int, int, float], None] | None = None,
) -> Reconstruction:
    """Find the photo's camera, then tune an object's planes until its picture is the photo.

    Args:
        made: The object; stays as it is.
        photo: On white, framed as the network was given it; seen from about the object's default camera.
        settings: Steps, rays and weights of stage two.
        progress: Called before every step on the planes with the steps done, those in all, and the loss of the last.

    Returns:
        The tuned object. Its default camera is the photo's.
    """
    ws = made.no_latents()
    [field] = made.fields(ws)
    size = float(made.planes.square().mean().sqrt())
    settings = settings.changed(lr2=_LR * size)
    config = replace(field.render_config, fine_samples=_FINE_SAMPLES, ray_length=None)
    target = target_of(photo, field, settings)
    view = Pivot(ws, find_camera(made, target, settings, config)).view(made.settings.default_view.target)
    objective = Objective([target], settings, None, settings.stage_two.rays, 1.0, config)
    stage = StageTwo(PlanesAlone(made), ws, view.mean().to(made.device).flatten(), objective, settings, None)
    loss = 0.0
    while not stage.finished:
        if progress is not None:
            progress(stage.done, settings.stage_two.steps, loss)
        loss = stage.step()
    found = stage.tuned()
    assert isinstance(found, PlanesAlone)
    tuned = Reconstruction(made.config, replace(made.settings, default_view=view))
    tuned.load_state_dict({**made.state_dict(), "planes": found.planes.detach().clone()})
    return tuned.to(made.device).eval().requires_grad_(False)


def find_camera(made: Reconstruction, target: Target, settings: InversionSettings, config: RenderConfig) -> Camera:
    """Find from where a photo shows an object, which stays as it is.

    The camera starts at the default one, tilted by the angle at which the pictures agree best; then its tilt, its lens
    and the point it looks at are moved down the gradient, held by the prior of stage one.

    Args:
        made: The object.
        target: The photo.
        settings: How pictures are compared.
        config: How they are made.

    Returns:
        The camera, without leading axes.
    """
    [field] = made.fields(made.no_latents())
    small = target.shrunk(_CAMERA_SIZE)
    objective = Objective([small], settings, None, small.size**2, 1.0, config)
    front = Pivot(made.no_latents(), made.default_camera()).view(made.settings.default_view.target)
    tilted = [replace(front, pitch_deg=front.pitch_deg + tilt).mean().to(made.device).flatten() for tilt in _TILTS]
    with torch.no_grad():
        losses = [float(objective(field, camera, None)[0]) for camera in tilted]
    fit = CameraFit(tilted[losses.index(min(losses))])
    fit.offsets.requires_grad_(True)
    moves = fit.offsets.new_tensor([name in _MOVES for name in OFFSETS])
    optimizer = Adam(([fit.offsets], _CAMERA_LR))
    for step in range(_CAMERA_STEPS):
        loss = objective(field, fit.cameras(), None)[0] + settings.stage_one.camera_prior * fit.penalty()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        check_gradients([("the camera", fit.offsets)], "refining", step + 1)
        assert fit.offsets.grad is not None
        fit.offsets.grad *= moves
        optimizer.step(learning_rate_share(step / _CAMERA_STEPS, 0.1, 0.7))
    with torch.no_grad():
        return fit.cameras()[0]
