"""The picture that tells an inversion's story: the photo, both stages, views nobody has seen, and the depth."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.generators.settings import ModelSettings, config_for
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.media.images import depth_picture
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.rendering.renderer import Frames, render

NEW_VIEWS = (-60.0, 60.0, 180.0)  # degrees of yaw from the photo's camera
_SIZE = 224  # pixels of each picture


def around(pivot: Pivot, settings: ModelSettings, turns: Sequence[float]) -> Camera:
    """Walk round the object: the photo's camera, turned by each of `turns` degrees about the object."""
    view = pivot.view(settings.default_view.target)
    return Camera.from_spherical(
        torch.tensor([view.yaw_deg + turn for turn in turns]),
        view.pitch_deg,
        view.radius,
        fov_y_deg=view.fov_y_deg,
        target=view.target,
    ).to(pivot.ws.device)


def look(field: RadianceField, cameras: Camera, settings: ModelSettings, size: int) -> Frames:
    """Render pictures that no near or far limit cuts off."""
    return render(field, cameras, resolution=size, config=config_for(cameras, settings))


def _sized(picture: Float[Tensor, "c h w"]) -> Float[Tensor, "c size size"]:
    """Bring a picture of the photo to the size of the others."""
    return torch.nn.functional.interpolate(picture[None], (_SIZE, _SIZE), mode="bilinear", antialias=True)[0]


def overview(result: InversionResult) -> Float[Tensor, "3 height width"]:
    """Draw photo, mask, stage one, stage two, three new views and the depth, side by side, with labels."""
    settings = result.base.settings
    turned = around(Pivot(result.ws, result.camera, result.class_index), settings, NEW_VIEWS)
    first = look(result.pivot_field, result.camera, settings, _SIZE)
    field = result.field
    second, views = look(field, result.camera, settings, _SIZE), look(field, turned, settings, _SIZE)
    shown = result.photos[0]
    photo, mask = (_sized(one) for one in (shown.rgb if shown.uncut is None else shown.uncut, shown.mask))
    depth = depth_picture(second.depth, second.opacity)
    row = [photo, mask.expand(3, -1, -1), first.rgb, second.rgb, *views.rgb, depth]
    turns = [f"{turn:+g}°" if abs(turn) < 180 else f"{turn:g}°" for turn in NEW_VIEWS]
    return contact_sheet(
        [[image.cpu() for image in row]], None, ["photo", "mask", "stage 1", "stage 2", *turns, "depth"]
    )
