"""How well an inversion explains its photo, and how far the photo is from anything the generator knows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.inversion.presets import PRESETS
from gen3d_tools.inversion.results.result import Fit
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.latent_prior import LatentPrior
from gen3d_tools.inversion.stages.objective import Target
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.perceptual import PerceptualDistance
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.renderer import render
from gen3d_tools.wording import option

GOOD_PSNR, FAIR_PSNR = 22.0, 19.0
"""dB that the untouched generator reaches on the photo. Tuning makes any photo match; this number does not lie.

Of a hundred toys that the bundled generator never saw the worst was at 26.5 (preset "balanced"; with "fast" a chair was
at 23.2); noise, a doodle, a snowman and a table were at 14.1 to 19.0.
"""

STRANGE = 1.6
"""Latents with a larger root mean square coordinate lie outside their class."""


@torch.no_grad()
def input_scores(
    field: RadianceField,
    cameras: Camera,
    targets: list[Target],
    distance: PerceptualDistance | None,
    config: RenderConfig | None = None,
) -> dict[str, float]:
    """Compare a field's pictures with the photos: "psnr" in dB, and "perceptual" where there is a distance.

    Args:
        field: The object.
        cameras: One per photo.
        targets: The photos as they are compared.
        distance: Perceptual; None leaves it out.
        config: Instead of the field's own: its near and far may not fit the cameras (`config_for`).
    """
    supersample = 1 if field.super_resolution else 2
    errors, perceptual = [], []
    for camera, target in zip(cameras.flatten(), targets, strict=True):  # photos may differ in size
        picture = render(field, camera, resolution=target.size, config=config, supersample=supersample).rgb
        errors.append((picture - target.rgb).square().mean())
        if distance is not None:
            perceptual.append(distance(picture[None], target.rgb[None]).mean())
    scores = {"psnr": float(-10 * torch.log10(torch.stack(errors).mean().clamp_min(1e-10)))}
    if perceptual:
        scores["perceptual"] = float(torch.stack(perceptual).mean())
    return scores


@torch.no_grad()
def score(
    photo: Photo,
    prior: LatentPrior,
    ws: Tensor,
    class_index: int | None,
    stage_one: dict[str, float],
    stage_two: dict[str, float],
    encoder: PhotoEncoder | None,
    distance: PerceptualDistance | None,
) -> dict[str, Any]:
    """Give the metrics of a result.

    Returns:
        "stage_one" and "stage_two" (see `input_scores`); "strangeness" of the latent (about 1 or less inside its
        class); with an encoder "familiarity" (0 to 1) and "class_probability"; "perceptual_distance", the name of the
        distance that ran, or None; "fit": "good", "fair" or "poor".
    """
    metrics: dict[str, Any] = {
        "stage_one": stage_one,
        "stage_two": stage_two,
        "strangeness": float(prior.strangeness(ws[0]).max()),
        "perceptual_distance": None if distance is None else distance.name,
    }
    if encoder is not None:
        prediction = encoder(photo.rgb[None].to(ws.device))
        metrics["familiarity"] = float(prediction.familiarity[0])
        if class_index is not None:
            metrics["class_probability"] = float(prediction.class_logits[0].softmax(-1)[class_index])
    return {**metrics, "fit": _fit(metrics)}


def _fit(metrics: dict[str, Any]) -> Fit:
    explained, familiar = metrics["stage_one"]["psnr"], metrics.get("familiarity", 1.0)
    if explained < FAIR_PSNR or metrics["strangeness"] > STRANGE or (familiar < 0.5 and explained < GOOD_PSNR):
        return "poor"
    return "good" if explained >= GOOD_PSNR and familiar >= 0.5 else "fair"


def warnings_for(metrics: dict[str, Any]) -> tuple[str, ...]:
    """Say in words what a poor fit means; nothing for a good one."""
    if metrics["fit"] == "good":
        return ()
    explained = metrics["stage_one"]["psnr"]
    reasons = [f"the untouched model comes within {explained:.1f} dB of the photo (usual: {GOOD_PSNR:.0f} or more)"]
    if metrics.get("familiarity", 1.0) < 0.5:
        reasons.append(f"familiarity {metrics['familiarity']:.2f} of 1 (usual: above 0.5)")
    if metrics["strangeness"] > STRANGE:
        reasons.append(f"its latent lies at {metrics['strangeness']:.1f} standard deviations (usual: below {STRANGE})")
    if metrics["fit"] == "poor":
        return (f"looks like nothing this model knows: {'; '.join(reasons)}; trust the photo's own side at most",)
    return (f"only roughly what this model knows: {'; '.join(reasons)}; look at the far side before you use it",)


@torch.no_grad()
def advice_for(
    metrics: dict[str, Any],
    photo: Photo,
    found: int | None,
    classes: Sequence[str],
    settings: InversionSettings,
    encoder: PhotoEncoder | None,
) -> tuple[str, ...]:
    """Say what to try next where the fit is not good; nothing where it is.

    Args:
        metrics: As `score` gives them.
        photo: The first one.
        found: Index of the class that was found.
        classes: Names of those that came into question; one or none where it was told.
        settings: Those of the inversion.
        encoder: The model's; it knows which class is next.
    """
    if metrics["fit"] == "good":
        return ()
    tries = []
    if len(classes) > 1 and found is not None:
        others = [index for index in range(len(classes)) if index != found]
        if encoder is not None:
            chances = encoder(photo.rgb[None].to(next(encoder.parameters()).device)).class_logits[0]
            others.sort(key=lambda index: -float(chances[index]))
        other = option("class_name", classes[others[0]], typed="--class")
        tries.append(f"{other} or what else it is, if it is no {classes[found]}")
    tries.append(f"a mask of your own ({option('mask')}), if parts were cut off or background kept")
    if settings.changed(seed=0) != PRESETS["best"]:
        tries.append(f"{option('preset', 'best')} for more steps")
    return (f"what may help: {'; '.join(tries)}; another model, if it is nothing that this one was trained on",)
