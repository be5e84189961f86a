"""A photo as the inversion sees it: square, framed like the generator's own pictures, on white."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.media.photos import OpenedPhoto, open_mask, open_photo
from gen3d_tools.photos.background import Cutout, Separation, cut_out
from gen3d_tools.photos.framing import Framing, cropped, fits, framed_window, measure_framing, square_window
from gen3d_tools.photos.several import say_several
from gen3d_tools.rendering.renderer import DEFAULT_RESOLUTION
from gen3d_tools.wording import option

_EMPTY = 0.002  # covered share of a photo below which there is no object in it
_FULL = 0.98  # ... and above which nothing was separated
_SMALL = 64  # pixels of an object below which there is little to see
_SQUARE_LENS = 1e-3  # a lens is as wide as it is high if its focal lengths, in sides, differ by a smaller share


@dataclass(frozen=True, eq=False)
class Photo:
    """One prepared photo.

    Raises:
        InputError: Picture and mask differ in size, or the picture is not square.
    """

    rgb: Float[Tensor, "3 _ _"]
    """Square, colours in [0, 1], the object on white where the mask is below 1."""

    mask: Float[Tensor, "1 _ _"]
    """Of the same size: how much of each pixel is object, in [0, 1]; all ones where nothing was separated."""

    source: str = ""
    """Where it comes from, for people: a path or a word."""

    warnings: tuple[str, ...] = ()
    """What was done to it that a person should know, one line each."""

    uncut: Float[Tensor, "3 _ _"] | None = None
    """The same square with its background, for pictures that show what was separated; None where nothing was."""

    doubts: tuple[str, ...] = ()
    """What speaks against the mask, where it was guessed and nobody asked for that way."""

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Where the square lies in the picture that was opened: left, top, right and bottom in its sides, (0, 0) the upper
    left corner; it may reach beyond the edges."""

    aspect: float = 1.0
    """Width of the picture that was opened, in its heights."""

    def __post_init__(self) -> None:
        height, width = self.rgb.shape[-2:]
        if height != width or self.mask.shape[-2:] != self.rgb.shape[-2:]:
            found = f"a picture of {width} x {height} and a mask of {self.mask.shape[-1]} x {self.mask.shape[-2]}"
            raise InputError(f"a prepared photo is square and has a mask of its own size, got {found}")

    @property
    def digest(self) -> str:
        """SHA-256 of picture and mask: tells one photo from another on any device."""
        both = torch.cat([self.rgb, self.mask]).detach().cpu().float().contiguous()
        return hashlib.sha256(both.numpy().tobytes()).hexdigest()

    @property
    def size(self) -> int:
        """Side in pixels."""
        return self.rgb.shape[-1]

    def uncropped(self, camera: Camera) -> Camera:
        """The camera of the picture that was opened, of which a camera sees the square."""
        return _widened(camera, self.window)

    def cropped(self, camera: Camera) -> Camera:
        """The camera that sees the square, of one of the picture that was opened; undoes `uncropped`."""
        left, top, right, bottom = self.window
        across, down = 1 / (right - left), 1 / (bottom - top)
        return _widened(camera, (-left * across, -top * down, (1 - left) * across, (1 - top) * down))

    def known_camera(self, camera: Camera) -> Camera:
        """The camera that sees the square, of one that somebody knows.

        Most formats know square pictures only. So of a picture that is not square, a lens as wide as it is high is
        taken for that of its middle square, and every other one for that of the whole.

        Args:
            camera: Of the picture that was opened, or of its middle square.
        """
        lens = camera.intrinsics
        if self.aspect != 1 and bool(((lens[..., 0, 0] / lens[..., 1, 1] - 1).abs() < _SQUARE_LENS).all()):
            width, height = min(1.0, 1 / self.aspect), min(1.0, self.aspect)
            camera = _widened(camera, ((1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2))
        return self.cropped(camera)


def known_cameras(cameras: Camera, photos: Sequence[Photo]) -> Camera:
    """The cameras that see prepared photos, of those that somebody knows, one per photo, [photos].

    Args:
        cameras: One per photo; other numbers of them are given back as they are, for the inversion to refuse.
        photos: See `Photo.known_camera`.
    """
    flat = cameras.flatten()
    if len(flat) != len(photos):
        return cameras
    return stack_cameras([photo.known_camera(camera) for photo, camera in zip(photos, flat, strict=True)])


def _widened(camera: Camera, window: tuple[float, float, float, float]) -> Camera:
    """The camera of a picture in which another camera's picture lies at a window."""
    left, top, right, bottom = window
    within = camera.intrinsics.new_tensor([[right - left, 0, left], [0, bottom - top, top], [0, 0, 1]])
    return Camera(camera.cam2world, within @ camera.intrinsics)


def load_photo(
    photo: "str | Path | Photo",
    generator: Generator,
    *,
    mask: str | Path | None = None,
    background: Separation | Path = "auto",
    framing: Framing | None = None,
    object_number: int | None = None,
) -> Photo:
    """Open a photo, separate its object, and frame it like the generator's own pictures.

    A square photo whose object is as large as the generator's may be keeps its framing: what it says about size and
    place is worth more than the average. A generator that fills its pictures gets the middle square as it is.

    Args:
        photo: The picture file; a photo that is prepared already is given back.
        generator: Whose pictures the photo shall be like.
        mask: A picture file, white where the object is; comes before anything else.
        background: How to find the object, see `background.cut_out`.
        framing: Measured before (`framing.measure_framing`), where several photos are loaded.
        object_number: Which of several objects in the photo, 1 = the largest; None = the largest, which is noted.

    Raises:
        NotFoundError: There is no such file.
        InputError: It is no picture, or has no object in it.
        MissingDependencyError: It needs a package that is not installed.
    """
    if isinstance(photo, Photo):
        return photo
    opened = open_photo(photo)
    return prepare_photo(
        opened, photo, generator, mask=mask, background=background, framing=framing, object_number=object_number
    )


def prepare_photo(
    opened: OpenedPhoto,
    path: str | Path,
    generator: Generator,
    *,
    mask: str | Path | None = None,
    background: Separation | Path = "auto",
    framing: Framing | None = None,
    object_number: int | None = None,
) -> Photo:
    """Do what `load_photo` does with a photo that is open already.

    Args:
        opened: The photo.
        path: Where it comes from, for people.
        generator: See `load_photo`, as the other arguments.
        mask: A picture file.
        background: How to find the object.
        framing: Measured before.
        object_number: Which of several objects.
    """
    path = Path(path)
    framing = framing or measure_framing(generator)
    size, notes = generator.image_resolution or DEFAULT_RESOLUTION, list(opened.notes)
    user_mask = None
    if mask is not None:
        user_mask, mask_notes = open_mask(mask, (opened.rgb.shape[-2], opened.rgb.shape[-1]))
        notes += mask_notes
    nothing_said = user_mask is None and object_number is None and opened.alpha is None
    if framing.is_full and background == "auto" and nothing_said:
        background = "none"
    cutout = cut_out(opened, background, user_mask, object_number)
    notes += check_object(cutout, path)
    if cutout.method in _WAYS and not _is_whole(cutout):
        way = _WAYS[cutout.method]
        notes.append(f"{path.name}: the object was found by {way}; if it is wrong, give a mask")
    if cutout.objects > 1 and object_number is None:
        notes.append(say_several(path.name, cutout.objects))
    alpha = torch.ones_like(opened.rgb[:1]) if opened.alpha is None else opened.alpha
    whole = replace(cutout, rgb=opened.rgb * alpha + 1 - alpha)  # what lies under transparency is nothing to show
    if cutout.method == "none" or framing.is_full or _is_whole(cutout):
        if cutout.mask.shape[-2] != cutout.mask.shape[-1]:
            notes.append(f"{path.name} is not square; its middle is used")
        window = square_window(cutout)
    elif fits(cutout, framing):
        window = square_window(cutout)
    else:
        window = framed_window(cutout, framing)
        notes.append(f"{path.name} was cropped and scaled to the size of the generator's own objects")
    (rgb, cover), (uncut, _) = cropped(cutout, window, size), cropped(whole, window, size)
    found = cutout.confidence.doubts if cutout.confidence is not None else []
    if found and background == "border":
        notes.append(f"{path.name}: the mask is doubtful: {'; '.join(found)}")
    doubts = tuple(found) if background == "auto" else ()
    height, width = cutout.mask.shape[-2:]
    place = window.in_image_sides(width, height)
    shown = None if cutout.method == "none" else uncut
    return Photo(rgb, cover, str(path), tuple(notes), uncut=shown, doubts=doubts, window=place, aspect=width / height)


def check_separated(photos: Sequence[Photo]) -> None:
    """Refuse photos whose object could not be told from the background.

    Raises:
        InputError: Names the first such photo, what speaks against its mask, and what to do.
    """
    for photo in photos:
        refuse_doubtful(Path(photo.source).name or "the photo", photo.doubts)


def refuse_doubtful(name: str, doubts: Sequence[str], *, masks: bool = True) -> None:
    """Refuse a photo if anything speaks against its mask.

    Args:
        name: Of the photo.
        doubts: What speaks against its mask.
        masks: Whether a person can give one instead.

    Raises:
        InputError: Something does; says what to do.
    """
    if doubts:
        mask = f"a {option('mask')}, " if masks else ""
        raise InputError(
            f"the object in {name} could not be told from its background by colours: {'; '.join(doubts)}; "
            f"give {mask}a network by {option('background', 'FILE.onnx')}, or go on with "
            f"this mask by {option('background', 'border')}"
        )


def check_object(cutout: Cutout, path: Path, *, masks: bool = True) -> list[str]:
    """Refuse a photo without an object; say what is odd about one.

    Args:
        cutout: What was found.
        path: Of the photo.
        masks: Whether a person can give a mask instead.

    Raises:
        InputError: There is nothing but background.
    """
    inside = cutout.mask > 0.5
    share = float(inside.float().mean())
    if share < _EMPTY:
        instead = f"give a {option('mask')}" if masks else "leave it out"
        hint = "check the mask" if cutout.method == "mask" else f"{instead}, or {option('background', 'none')}"
        raise InputError(f"nothing but background was found in {path}; {hint}")
    notes = []
    if _is_whole(cutout) and cutout.method not in ("none", "mask"):
        other = ", or give a mask" if masks else ""
        notes.append(f"no background was found in {path.name}; the whole picture is taken for the object{other}")
    side = int(torch.maximum(inside.any(dim=1).sum(), inside.any(dim=2).sum()))
    if side < _SMALL:
        notes.append(f"the object in {path.name} is only {side} pixels large; expect little detail")
    return notes


def _is_whole(cutout: Cutout) -> bool:
    """Whether nothing was separated."""
    return bool((cutout.mask > 0.5).float().mean() > _FULL)


_WAYS = {"border": "the colours along the photo's border", "rembg": "rembg", "onnx": "the network"}
