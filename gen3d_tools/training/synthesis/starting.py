"""What training starts from and plain initialisation does not give: adaptors that change nothing yet.

The published networks begin with a random camera generator, whose cameras all stand in nearly one place, and a random
depth adaptor, whose depth resembles no depth. Over millions of pictures they find their way. A run of minutes would
spend itself on that, so both can be fitted to the identity first; that takes a second and sees no picture.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen3d_tools.cameras.distributions.priors import DRAWS, PosePrior
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.networks.epigraf.depth_adaptor import DepthAdaptor

NEAR_PLANE_START = -3.0
"""Where the depth adaptor's near plane begins: sigmoid(-3) / 4 = 1.2 % of the range further (3DGP)."""

_LEARNING_RATE = 0.02  # of layers without a multiplier; the camera generator's is divided by its own
_BATCH = 128
_MAPS, _SIDE = 8, 16


def prepare(generator: PlaneGenerator, identity_steps: int = 0) -> None:
    """Set what training starts from, with random numbers of torch's global source.

    Args:
        generator: EpiGRAF, which is left as it is, or 3DGP.
        identity_steps: Steps of Adam that bring camera generator and depth adaptor to the identity; 0 leaves them
            as they were initialised.
    """
    if not isinstance(generator, ThreeDGPGenerator):
        return
    depths = generator.synthesis.depth_adaptor
    if depths is not None:
        with torch.no_grad():
            depths.near_plane_offset_raw.fill_(NEAR_PLANE_START)
        _fit(depths, identity_steps, _LEARNING_RATE, lambda: _depth_error(depths))
    if generator.synthesis.camera_adaptor is not None:
        rate = _LEARNING_RATE / generator.config.camera_lr_multiplier
        _fit(generator.synthesis.camera_adaptor, identity_steps, rate, lambda: _camera_error(generator))


def _fit(network: nn.Module, steps: int, rate: float, error: Callable[[], Tensor]) -> None:
    """Let a network make an error small, its steps shrinking to nothing."""
    optimiser = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for _ in range(steps):
        optimiser.zero_grad()
        error().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    optimiser.zero_grad()


def _camera_error(generator: ThreeDGPGenerator) -> Tensor:
    """How far random cameras are moved, in shares of the prior's ranges."""
    adaptor, prior, config = (
        generator.synthesis.camera_adaptor,
        generator.settings.camera_distribution,
        generator.config,
    )
    assert adaptor is not None
    assert isinstance(prior, PosePrior)
    seeds = np.random.RandomState(int(torch.randint(2**31, (1,))))
    cameras = prior.poses_at(seeds.random_sample((_BATCH, DRAWS))).parameters
    classes = config.num_classes
    onehot = F.one_hot(torch.randint(classes, (_BATCH,)), classes).float() if classes else None
    moved = adaptor(cameras, torch.randn(_BATCH, config.z_dim), onehot)
    ranges = (cameras.amax(0) - cameras.amin(0)).clamp_min(1e-2)
    error: Tensor = ((moved - cameras) / ranges).square().sum(-1).mean()
    return error


def _depth_error(adaptor: DepthAdaptor) -> Tensor:
    """How far every answer to random maps is from the depth itself: smooth objects before the end of the range."""
    near, far = adaptor.near, adaptor.far
    coarse = torch.rand(_MAPS, 2, 5, 5)
    smooth = F.interpolate(coarse, (_SIDE, _SIDE), mode="bicubic").clamp(0, 1)
    depth = torch.where(smooth[:, 1:] > 0.5, smooth[:, :1], 1.0) * (far - near) + near
    plain, *answers = adaptor.answers(depth)
    return (
        torch.stack([(one - plain.detach()).square().mean() for one in answers]).sum() if answers else plain.sum() * 0
    )
