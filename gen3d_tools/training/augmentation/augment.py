"""Augmentation whose strength rises while the discriminator tells its training pictures too surely (ADA, section 3)."""

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.training.augmentation.color import random_color_map, recolored
from gen3d_tools.training.augmentation.geometry import random_warp, warped
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.recipes.sections import AugmentationSection


class Augmentation:
    """Transforms pictures, real and fake alike; differentiable.

    Attributes:
        strength: Probability of each transformation.
    """

    def __init__(self, section: AugmentationSection, strength: float = 0.0) -> None:
        self.section, self.strength = section, strength

    def __call__(self, images: Float[Tensor, "b channels h w"], draws: Draws) -> Float[Tensor, "b channels h w"]:
        """Transform each picture at random: geometry in all channels, colours in groups of three."""
        if self.strength <= 0:
            return images
        count, _, height, width = images.shape
        warp = random_warp(count, width, height, self.strength, self.section.mirror, draws)
        colors = random_color_map(count, self.strength, draws)
        return recolored(warped(images, warp.to(images.device)), colors.to(images.device))

    def adapt(self, mean_sign: float, images: int) -> None:
        """Move the strength towards the target.

        Args:
            mean_sign: Mean sign of the logits of real pictures since the last adjustment; 1 = all told.
            images: Real pictures seen since then.
        """
        step = images / (self.section.speed_kimg * 1000)
        direction = (mean_sign > self.section.target) - (mean_sign < self.section.target)
        self.strength = max(0.0, self.strength + direction * step)
