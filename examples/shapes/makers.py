"""Pictures of many makers: the same layers under other lights, materials, backgrounds, styles and cameras' faults.

A generator's own pictures have one light, one kind of surface and a white page. A network that has seen only
those learns the light instead of the thing; here nothing stays but shape, pose and (roughly) colour.
"""

import io

import numpy as np
import torch
from dataset import LIGHT
from jaxtyping import Bool, Float
from layers import LIGHTS, Layers
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

Picture = Float[Tensor, "b 3 n n"]
Mask = Float[Tensor, "b 1 n n"]

BAKED, FLAT, CEL, LINES = 0.35, 0.07, 0.07, 0.05  # shares of styles; the rest is lit. Baked: the generator's own
WHITE = 0.6  # share of pictures whose background is (nearly) white: what the separation of photos leaves
SHADOWED = 0.4  # share of pictures with a shadow on the ground
JPEG = 0.15


class _Draw:
    """Random numbers for a batch of pictures, shaped to multiply them."""

    def __init__(self, count: int, generator: torch.Generator | None) -> None:
        self._count, self._generator = count, generator

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(self._count, channels, 1, 1, generator=self._generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self._count, *shape, generator=self._generator)

    def chance(self, share: float) -> Tensor:
        return torch.rand(self._count, 1, 1, 1, generator=self._generator) < share


def picture(
    layers: Layers, generator: torch.Generator | None, own: Bool[Tensor, " b"] | None = None
) -> tuple[Picture, Mask]:
    """Light the layers, put them before a background.

    Args:
        layers: As traced.
        generator: Source of randomness; None uses torch's own.
        own: Those that are to look as the generator's own pictures do; None leaves all to chance.

    Returns:
        RGB in [0, 1], and the coverage.
    """
    draw = _Draw(len(layers), generator)
    numbers = {name: getattr(layers, name).float() / 255 for name in ("albedo", "alpha", "occlusion", "lit", "ground")}
    normal = layers.normal.float() / 127.5 - 1
    style = draw.uniform(0, 1)
    if own is not None:
        style = torch.where(own[:, None, None, None], 0.0, style)
    flat = numbers["albedo"]
    shading, gloss = _lit(layers, normal, numbers["occlusion"], numbers["lit"], draw)
    shading = _exposed(shading, numbers["alpha"], draw)
    shading = torch.where(style < BAKED, _baked(normal, numbers["occlusion"]), shading)
    cel = (shading.mean(1, keepdim=True) * 3).round() / 3 + 0.15
    shading = torch.where((style > 1 - CEL), cel, shading)
    rgb = flat * shading + torch.where((style < BAKED) | (style > 1 - CEL), 0.0, gloss)
    rgb = torch.where((style > 1 - CEL - FLAT) & (style <= 1 - CEL), flat, rgb).clamp(0, 1)
    drawn = (style > BAKED) & (style < BAKED + LINES)
    edges = outlines(normal, numbers["alpha"], flat)
    paper = torch.where(draw.chance(0.5), torch.ones_like(flat), flat)
    rgb = torch.where(drawn, paper * (1 - edges), torch.where(draw.chance(0.06), rgb * (1 - edges), rgb))
    return _composed(rgb, numbers["alpha"], numbers["ground"], style < BAKED, draw), numbers["alpha"]


def _baked(normal: Tensor, occlusion: Tensor) -> Tensor:
    """The light of the generator's training data (`dataset.shaded_color`)."""
    facing = (normal * normal.new_tensor(LIGHT)[:, None, None]).sum(1, keepdim=True)
    return ((0.77 + 0.06 * normal[:, 1:2] + 0.24 * facing) * (0.7 + 0.3 * occlusion)).expand_as(normal)


def _lit(layers: Layers, normal: Tensor, occlusion: Tensor, lit: Tensor, draw: _Draw) -> tuple[Picture, Picture]:
    """Hemisphere of sky and ground, two lights with their shadows, a highlight of each (Blinn-Phong)."""
    sky, ground = draw.uniform(0.25, 0.75), draw.uniform(0.05, 0.45)
    tone = 1 + 0.12 * draw.normal(3, 1, 1)
    up = 0.5 + 0.5 * normal[:, 1:2]
    shading = (sky * up * tone + ground * (1 - up)) * occlusion ** draw.uniform(0.3, 1.3)
    gloss = torch.zeros_like(shading)
    shininess, mirror = 4.0 * 20.0 ** draw.uniform(0, 1), draw.uniform(-0.4, 0.55).clamp_min(0)
    wrap = draw.uniform(-0.5, 0.5).clamp_min(0)
    for k in range(LIGHTS):
        light = layers.lights[:, k, :, None, None]
        strength = draw.uniform(0.35, 1.1) if k == 0 else draw.uniform(-0.5, 0.6).clamp_min(0)
        color = 1 + 0.1 * draw.normal(3, 1, 1)
        facing = (normal * light).sum(1, keepdim=True)
        seen = lit[:, k : k + 1]
        shading = shading + strength * color * seen * ((facing + wrap) / (1 + wrap)).clamp_min(0)
        half = F.normalize(light + layers.view[:, :, None, None], dim=1)
        gloss = gloss + strength * mirror * seen * (normal * half).sum(1, keepdim=True).clamp_min(0) ** shininess
    return shading, gloss


def _exposed(shading: Picture, alpha: Mask, draw: _Draw) -> Picture:
    """Scale the light as a camera's meter does: the mean over the thing comes to about .8."""
    mean = (shading.mean(1, keepdim=True) * alpha).sum((2, 3), keepdim=True) / alpha.sum(
        (2, 3), keepdim=True
    ).clamp_min(1)
    return shading * (draw.uniform(0.55, 1.05) / mean.clamp_min(0.05)) ** 0.8


def outlines(normal: Tensor, alpha: Tensor, flat: Tensor) -> Tensor:
    """Where a draughtsman would draw a line: outlines, creases and borders of colour; 0 to 1."""
    stack = torch.cat([normal * alpha * 0.7, alpha * 1.5, flat * alpha * 0.8], dim=1)
    across = F.pad(stack, (1, 1, 1, 1), mode="replicate")
    right = across[..., 1:-1, 2:] - across[..., 1:-1, :-2]
    down = across[..., 2:, 1:-1] - across[..., :-2, 1:-1]
    return ((right.square() + down.square()).sum(1, keepdim=True).sqrt() * 0.9 - 0.25).clamp(0, 1)


def _composed(rgb: Picture, alpha: Mask, ground: Tensor, alone: Tensor, draw: _Draw) -> Picture:
    """Background: white, nearly white, one colour, a gradient, something blurred; with or without a shadow.

    What is `alone` stands on white without one.
    """
    batch, _, side, _ = rgb.shape
    nearly = draw.uniform(0.85, 1.0, 3)
    page = torch.where(draw.chance(0.5), torch.ones_like(nearly), nearly).expand_as(rgb)
    ramp = torch.linspace(0, 1, side)
    steps = torch.where(draw.chance(0.5), ramp[None, None, :, None], ramp[None, None, None, :].expand(1, 1, side, side))
    plain = torch.lerp(
        draw.uniform(0, 1, 3).expand_as(rgb), draw.uniform(0, 1, 3).expand_as(rgb), steps.expand(batch, 3, -1, -1)
    )
    blobs = F.interpolate(draw.normal(3, 5, 5), size=(side, side), mode="bicubic", align_corners=False)
    busy = (plain + 0.25 * blobs * draw.uniform(0, 1)).clamp(0, 1)
    back = torch.where(draw.chance(WHITE), page, torch.where(draw.chance(0.6), plain, busy))
    shadow = 1 - (1 - ground[:, :1]) * draw.uniform(0.15, 0.7) - (1 - ground[:, 1:]) * draw.uniform(0, 0.2)
    back = torch.where(draw.chance(SHADOWED), back * shadow.clamp(0, 1), back)
    back = torch.where(alone, 1.0, back)
    return back + (rgb - back) * alpha


def spoiled(image: Picture, generator: torch.Generator | None) -> Picture:
    """What cameras and files do: exposure, contrast, white balance, saturation, blur, noise, JPEG.

    Args:
        image: RGB in [0, 1].
        generator: Source of randomness; None uses torch's own.
    """
    draw = _Draw(len(image), generator)
    often = draw.chance(0.6)
    gain, gamma = draw.uniform(0.8, 1.2), draw.uniform(0.7, 1.4)
    balance = 1 + 0.06 * draw.normal(3, 1, 1)
    grey = image.mean(1, keepdim=True)
    changed = torch.lerp(grey.expand_as(image), image, draw.uniform(0.45, 1.25))
    changed = (changed.clamp_min(1e-4) ** gamma * gain * balance).clamp(0, 1)
    image = torch.where(often, changed, image)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    image = torch.lerp(image, soft, draw.uniform(0, 1) * draw.chance(0.35))
    image = image + 0.06 * draw.uniform(0, 1) ** 2 * draw.normal(*image.shape[1:]) * draw.chance(0.5)
    return _compressed(image.clamp(0, 1), generator)


def _compressed(image: Picture, generator: torch.Generator | None) -> Picture:
    """Write some of the pictures as JPEG and read them back."""
    image = image.clone()
    for row in (torch.rand(len(image), generator=generator) < JPEG).nonzero()[:, 0].tolist():
        pixels = (image[row].permute(1, 2, 0) * 255).round().byte().numpy()
        quality = int(torch.randint(15, 90, (), generator=generator))
        Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=quality)
        image[row] = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1).float() / 255
    return image
