"""An object that a network made of a photo, made sharper in that photo's view: stage two, on its planes alone.

The decoder stays: it is the network's knowledge of what planes mean. What the photo does not show is held by the
locality, as in pivotal tuning.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.reconstructor_configs import ReconstructionConfig
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction, field_of
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.objective import Objective, target_of
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.photos.photo import Photo

_FINE_SAMPLES = 16
_LR = 0.02  # of the planes' root mean square


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
    """Tune an object's planes until its picture is the photo.

    Args:
        made: The object; stays as it is.
        photo: On white, framed as the network was given it; seen from the object's default camera.
        settings: Steps, rays and weights of stage two.
        progress: Called before every step with the steps done, those in all, and the loss of the last one.

    Returns:
        The tuned object.
    """
    ws, camera = made.no_latents(), made.default_camera()
    [field] = made.fields(ws)
    size = float(made.planes.square().mean().sqrt())
    settings = settings.changed(lr2=_LR * size)
    config = replace(field.render_config, fine_samples=_FINE_SAMPLES, ray_length=None)
    objective = Objective([target_of(photo, field, settings)], settings, None, settings.stage_two.rays, 1.0, config)
    stage = StageTwo(PlanesAlone(made), ws, camera.flatten(), objective, settings, None)
    loss = 0.0
    while not stage.finished:
        if progress is not None:
            progress(stage.done, settings.stage_two.steps, loss)
        loss = stage.step()
    found = stage.tuned()
    assert isinstance(found, PlanesAlone)
    tuned = Reconstruction(made.config, made.settings)
    tuned.load_state_dict({**made.state_dict(), "planes": found.planes.detach().clone()})
    return tuned.to(made.device).eval().requires_grad_(False)
