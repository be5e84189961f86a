"""Every random number of a step, from one place.

The numbers of a round are named by the seed, the step, the phase and the round, and by nothing else. So a resumed run
draws what it would have drawn, and several processes draw what one would.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.distributions.priors import DRAWS, PosePrior
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.training.patches import PatchConfig, Patches, draw_patches

_SEEDS = 2**31


class Draws:
    """The random numbers of one round.

    Args:
        key: Names the round: seed, step, phase, round.
    """

    def __init__(self, *key: int) -> None:
        self.round = key[-1]
        first, second = np.random.SeedSequence(key).generate_state(2)
        self.numbers = np.random.RandomState(int(first))
        self.generator = torch.Generator().manual_seed(int(second))

    @property
    def jitter(self) -> torch.Generator | None:
        """Source of the samples' places on their rays and of the backbone's noise; None for the middles and none."""
        return self.generator

    def noise_for(self, device: torch.device) -> torch.Generator | None:
        """Source of noise that is drawn where it is used; on CPUs the same as `jitter`."""
        if self.jitter is None or device.type == "cpu":
            return self.jitter
        return torch.Generator(device).manual_seed(int(torch.randint(_SEEDS, (1,), generator=self.generator)))

    def latents(self, count: int, size: int) -> Float[Tensor, "count size"]:
        """Standard normal numbers."""
        return torch.randn(count, size, generator=self.generator)

    def entries(self, count: int, among: int) -> np.ndarray:
        """Entries of the data set whose labels fakes take over, so that classes are as frequent as there."""
        return self.numbers.randint(among, size=count)

    def classes(self, count: int, among: int) -> Tensor:
        """Classes, each as likely as the others."""
        return torch.from_numpy(self.numbers.randint(among, size=count))

    def poses(self, prior: PosePrior, count: int) -> Pose:
        """Cameras of the prior."""
        return prior.poses_at(self.numbers.random_sample((count, DRAWS)))

    def patches(self, config: PatchConfig, count: int, group: int, kimg: float) -> Patches:
        """Patches; groups of samples share one."""
        return draw_patches(config, count, group, kimg, self.numbers, self.generator)

    def candidates(self, probabilities: Sequence[float], count: int) -> Tensor:
        """Which answer of the depth adaptor each sample takes."""
        return torch.from_numpy(self.numbers.choice(len(probabilities), size=count, p=probabilities))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1)."""
        return torch.rand(*shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self.generator)


def swapped_labels(
    labels: Float[Tensor, "b numbers"], uniform: Float[Tensor, "b_or_1"], probability: float
) -> Float[Tensor, "b numbers"]:
    """Give some samples the label of the sample before them, so that it cannot be relied on (EG3D, section 4.4)."""
    return torch.where((uniform < probability)[:, None], labels.roll(1, 0), labels)


def rolled_rows(
    labels: Float[Tensor, "b numbers"], uniform: Float[Tensor, " b"], probability: float
) -> Float[Tensor, "b numbers"]:
    """Select rows and roll them by one among themselves (EpiGRAF's and 3DGP's way of the same)."""
    chosen = torch.nonzero(uniform < probability)[:, 0]
    return labels.index_copy(0, chosen, labels[chosen].roll(1, 0)) if len(chosen) else labels
