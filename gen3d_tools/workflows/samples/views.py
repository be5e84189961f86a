"""How a picture of a sample is taken: from where, how large, and what it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.media.images import depth_picture, normal_picture
from gen3d_tools.rendering.ray_rendering import Sampling
from gen3d_tools.rendering.renderer import DEFAULT_RESOLUTION, normals, render

KINDS = ("rgb", "depth", "normal")
MAX_SIZE = 2048
_MOST_DECIMALS = 4
_ONE_SIDE_DEG = 1.0  # trusted from so few degrees, a model has one side


def check_size(size: int | None, largest: int = MAX_SIZE) -> None:
    """Refuse a picture size out of range; None leaves it to the model.

    Raises:
        InputError: Not within 1..`largest`.
    """
    if size is not None and not 1 <= size <= largest:
        raise InputError(f"size is {size}; it must lie in 1..{largest} pixels")


def parse_kinds(text: str) -> list[str]:
    """Read `--show rgb,depth,normal`.

    Raises:
        InputError: Something else is asked for.
    """
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(f"cannot show {', '.join(unknown) or 'nothing'}; choose from {', '.join(KINDS)}")
    return list(dict.fromkeys(kinds))


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How a picture is taken: angles in degrees and size (None = the model's own), quality."""

    yaw: float | None = None
    pitch: float | None = None
    fov: float | None = None
    size: int | None = None
    exact: bool = False  # the model family's own sampling scheme
    supersample: int = 1
    raw: bool = False  # leave the model's super-resolution out

    @property
    def sampling(self) -> Sampling:
        """What the renderer is told: compiled code takes the scheme's samples, and serves where it can."""
        return "published" if self.exact else "default"

    def sized(self, generator: Generator) -> "ViewOptions":
        """Fill the size in: what the model's super-resolution gives, or 256."""
        return replace(self, size=self.side(generator))

    def side(self, generator: Generator) -> int:
        """Give the side of a picture in pixels."""
        return self.size or generator.image_resolution or DEFAULT_RESOLUTION

    def turns(self, generator: Generator, views: int) -> list[float]:
        """Give how much further round than the camera each of so many views is, degrees.

        All the way round, evenly. A model that is trusted from fewer sides is shown from those, from one end to the
        other, unless a yaw is given.
        """
        if views == 1 or self.yaw is not None or not trusted_from_some_sides(generator):
            return even_turns(views)
        trusted = generator.settings.trusted_views
        width, front = trusted.yaw_max_deg - trusted.yaw_min_deg, generator.default_view.yaw_deg
        yaws = [trusted.yaw_min_deg + width * index / (views - 1) for index in range(views)]
        return [(yaw - front + 180) % 360 - 180 for yaw in yaws]

    def camera(self, generator: Generator, turn: float = 0.0) -> Camera:
        """Place the camera on the model's sphere, or the photo's of a tuned one, `turn` degrees further round.

        Raises:
            InputError: The pitch is not within -90..90, or the field of view not within 0..180.
        """
        if self.yaw is None and self.pitch is None and self.fov is None and turn == 0:
            return generator.default_camera()
        view = generator.default_view
        pitch = view.pitch_deg if self.pitch is None else self.pitch
        if not -90 <= pitch <= 90:
            raise InputError(f"pitch is {pitch:g}; it must lie in -90..90 degrees (90 = straight from above)")
        return Camera.from_spherical(
            (view.yaw_deg if self.yaw is None else self.yaw) + turn,
            pitch,
            view.radius,
            fov_y_deg=view.fov_y_deg if self.fov is None else self.fov,
            target=view.target,
        ).to(generator.device)


def trusted_from_some_sides(generator: Generator) -> bool:
    """Whether a model has seen its objects from several sides, but not from all."""
    trusted = generator.settings.trusted_views
    return not trusted.all_around and trusted.yaw_max_deg - trusted.yaw_min_deg > _ONE_SIDE_DEG


def even_turns(views: int) -> list[float]:
    """Degrees of a round in so many equal steps."""
    return [360 * index / views for index in range(views)]


def turn_names(generator: Generator, turns: Sequence[float]) -> list[str]:
    """Name views by their degrees, with as many decimals as it takes to tell them apart.

    Those all the way round by how much further round they are than the first, others by their yaw.
    """
    whole = list(turns) == even_turns(len(turns))
    shown = [turn if whole else turn + generator.default_view.yaw_deg for turn in turns]
    for decimals in range(_MOST_DECIMALS):
        names = [f"{math.trunc(round(angle * 10**decimals, 3)) / 10**decimals:.{decimals}f}" for angle in shown]
        if len(set(names)) == len(turns):
            break
    return names


def picture(
    field: RadianceField, camera: Camera, kind: str, look: ViewOptions, config: RenderConfig
) -> Float[Tensor, "3 size size"]:
    """Render one view as colour, depth or normals, on the CPU."""
    frames = render(
        field,
        camera,
        resolution=look.size,
        config=config,
        sampling=look.sampling,
        supersample=look.supersample,
        super_resolution=not look.raw,
    )
    if kind == "depth":
        return depth_picture(frames.depth, frames.opacity).cpu()
    if kind == "normal":
        return normal_picture(normals(field, camera, frames), frames.opacity).cpu()
    return frames.rgb.cpu()
