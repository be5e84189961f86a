"""How far a field's picture is from a photo: pixels, structure, silhouette, features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import Background, RenderConfig
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.metrics.pictures import pyramid_l1, ssim
from gen3d_tools.perception.perceptual import PerceptualDistance
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.differentiable import View, render_differentiable, sample_pixels
from gen3d_tools.rendering.rays import pixel_coordinates

_BEHIND: dict[Background, float] = {"none": 0.0, "grey": 0.5, "white": 1.0}
"""What a generator's own pictures show beside the object; one with "last" fills the picture itself."""


@dataclass(frozen=True, eq=False)
class Target:
    """A photo at the size at which it is compared, on the generator's background."""

    rgb: Float[Tensor, "3 n n"]
    mask: Float[Tensor, "1 n n"] | None
    """None where nothing was separated."""

    @property
    def size(self) -> int:
        """Side in pixels."""
        return self.rgb.shape[-1]

    def shrunk(self, size: int) -> "Target":
        """The same, no larger than a size."""
        if size >= self.size:
            return self
        return Target(resized(self.rgb, size), None if self.mask is None else resized(self.mask, size))


def target_of(photo: Photo, field: RadianceField, settings: InversionSettings) -> Target:
    """Prepare a photo for comparison with pictures of a field."""
    mask = None if bool((photo.mask > 0.999).all()) else photo.mask.to(field.device)
    rgb = photo.rgb.to(field.device)
    level = _BEHIND.get(field.render_config.background)
    if mask is not None and level is not None:
        rgb = (rgb + (level - 1) * (1 - mask)).clamp(0, 1)
    if field.super_resolution is not None:
        size = field.super_resolution.resolution
        return Target(resized(rgb, size), None if mask is None else resized(mask, size))
    return Target(rgb, mask).shrunk(settings.resolution)


def resized(picture: Float[Tensor, "c n n"], size: int) -> Float[Tensor, "c {size} {size}"]:
    """Shrink by area or enlarge bilinearly."""
    if picture.shape[-1] == size:
        return picture
    return F.interpolate(picture[None], (size, size), mode="bilinear", antialias=True)[0].clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Objective:
    """What both stages minimise, summed over photos."""

    targets: Sequence[Target]
    settings: InversionSettings
    distance: PerceptualDistance | None
    rays: int
    width: float
    """Of the density's onset, see `views`."""
    config: RenderConfig | None = None
    """Instead of the field's own: its near and far may not fit cameras that are known (`config_for`)."""
    jitter: float = 0.0
    """How far around the middles of pixels their rays pass, see `sample_pixels`."""

    def __call__(
        self, field: RadianceField, cameras: Camera, generator: torch.Generator | None, turn: int | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """Compare.

        Args:
            field: The object so far.
            cameras: One per photo.
            generator: Chooses the rays.
            turn: The step, if rays take their turns, see `sample_pixels`.

        Returns:
            The loss, and what a person may want to read of the final pictures: "mse" of colours in [0, 1],
            "perceptual".
        """
        total, errors, perceptual = torch.zeros((), device=field.device), [], []
        for camera, target in zip(cameras, self.targets, strict=True):
            compared = []
            for image, wanted, weight in self._pictures(field, camera, target, generator, turn):
                loss, *reading = self._compare(image[None], wanted[None])
                total = total + weight * loss
                compared.append(reading)
            errors.append(compared[0][0])
            perceptual.append(compared[0][1])
        count = len(self.targets)
        return total / count, {"mse": sum(errors) / count, "perceptual": sum(perceptual) / count}

    def look(
        self,
        field: RadianceField,
        camera: Camera,
        pixels: Float[Tensor, "pixels 2"],
        generator: torch.Generator | None,
    ) -> View:
        """Look at a field as finely as the settings say."""
        return render_differentiable(
            field,
            camera,
            pixels,
            config=reduced_samples(self.config or field.render_config, self.settings),
            width=self.width,
            threshold=self.settings.rendering.weight_threshold,
            fine_rounds=self.settings.rendering.fine_rounds,
            generator=generator,
        )

    def silhouette_gap(
        self, field: RadianceField, camera: Camera, mask: Float[Tensor, "1 n n"], generator: torch.Generator
    ) -> Tensor:
        """Mean absolute difference of a field's opacity and a mask, seen by half as many rays as a photo."""
        (rows, columns), pixels = sample_pixels(mask.shape[-1], max(1, self.rays // 2), field, generator)
        opacity = self.look(field, camera, pixels, generator).opacity
        return (opacity - mask[:, rows][:, :, columns]).abs().mean()

    def _pictures(
        self,
        field: RadianceField,
        camera: Camera,
        target: Target,
        generator: torch.Generator | None,
        turn: int | None,
    ) -> list[tuple[Tensor, Tensor, float]]:
        """Pairs of pictures to compare, four channels with the silhouette, and their weights."""
        enlarge = field.super_resolution
        if enlarge is None:
            (rows, columns), pixels = sample_pixels(target.size, self.rays, field, generator, turn, self.jitter)
            seen = self.look(field, camera, pixels, generator)
            wanted = _rgb_and_mask(target)[:, rows][:, :, columns]
            return [(torch.cat([seen.rgb, seen.opacity]), wanted, 1.0)]
        side = enlarge.render_resolution
        pixels = enlarge.grid_share * pixel_coordinates(side, field.render_config.pixel_grid, device=field.device)
        seen = self.look(field, camera, pixels, generator)
        final = resized(enlarge(seen.values)[0], target.size)  # a search compares at low resolution
        small = target.shrunk(side)
        silhouette = resized(seen.opacity, target.size)
        raw = resized(torch.cat([seen.rgb, seen.opacity]), small.size)
        return [
            (torch.cat([final, silhouette]), _rgb_and_mask(target), 1.0),
            (raw, _rgb_and_mask(small), self.settings.distance.raw_weight),
        ]

    def _compare(
        self, image: Float[Tensor, "1 4 n n"], wanted: Float[Tensor, "1 4 n n"]
    ) -> tuple[Tensor, float, float]:
        settings, (rgb, truth) = self.settings, (image[:, :3], wanted[:, :3])
        squared = (rgb - truth).square().mean()
        loss = 4 * settings.distance.pixel_weight * squared  # published with colours in [-1, 1], hence 4
        if settings.distance.pyramid_weight:
            loss = loss + settings.distance.pyramid_weight * pyramid_l1(rgb, truth)
        if settings.distance.ssim_weight:
            loss = loss + settings.distance.ssim_weight * (1 - ssim(rgb, truth))
        if settings.distance.mask_weight and bool(wanted[0, 3, 0, 0] >= 0):
            loss = loss + settings.distance.mask_weight * (image[:, 3] - wanted[:, 3]).abs().mean()
        perceptual = torch.zeros((), device=image.device)
        if self.distance is not None and settings.distance.perceptual_weight:
            perceptual = self.distance(rgb.clamp(0, 1), truth).mean()
            loss = loss + settings.distance.perceptual_weight * perceptual
        return loss, float(squared.detach()), float(perceptual.detach())


def reduced_samples(config: RenderConfig, settings: InversionSettings) -> RenderConfig:
    """The settings of a field, with no more samples per ray than an inversion wants."""
    coarse = max(4, min(config.coarse_samples, settings.rendering.coarse_samples))
    return replace(
        config, coarse_samples=coarse, fine_samples=min(config.fine_samples, settings.rendering.fine_samples)
    )


def _rgb_and_mask(target: Target) -> Float[Tensor, "4 n n"]:
    """Colour and silhouette; -1 all over where there is no silhouette."""
    mask = -torch.ones_like(target.rgb[:1]) if target.mask is None else target.mask
    return torch.cat([target.rgb, mask])
