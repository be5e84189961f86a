"""`gen3d align --preset object`: photos of objects in; pictures out, as generators of objects learn from.

Square, of one size, the object on white in their middle; photos in folders of their own become classes.
"""

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.files import atomic_path, safe_name
from gen3d_tools.media.images import write_image
from gen3d_tools.media.photos import listed_photos, open_photo, unread_photos
from gen3d_tools.media.sheets import contact_sheet, thumbnail
from gen3d_tools.photos.background import Separation, check_separation, cut_out
from gen3d_tools.photos.framing import Framing, cropped, framed_window
from gen3d_tools.photos.photo import check_object, refuse_doubtful
from gen3d_tools.photos.several import say_several
from gen3d_tools.workflows.running.claims import claim_folder
from gen3d_tools.workflows.running.places import output_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

PRESET = "object"
PICTURES_NAME, LABELS_NAME, OVERVIEW_NAME = "pictures", "dataset.json", "overview.png"
FRAMING = Framing(extent=0.8, smallest=0.8, largest=0.8, centre=(0.5, 0.5), shift=0)
"""The longer side of an object's box is .8 of the picture, and its middle the picture's."""
SIZE, LEAST, MOST = 128, 16, 1024  # pixels along a side
_SHOWN = 12  # photos in the overview


@dataclass(frozen=True, kw_only=True)
class ObjectOptions:
    """How objects are cut out."""

    size: int = SIZE  # pixels along a side
    background: str = "auto"  # how an object is told from it, see `background.cut_out`

    def separation(self) -> Separation | Path:
        """Read the options, before any work.

        Raises:
            InputError: The size is out of range, or there is no such way.
            NotFoundError: There is no such network.
        """
        if not LEAST <= self.size <= MOST:
            raise InputError(f"size is {self.size}; pictures have {LEAST} to {MOST} pixels along a side")
        return check_separation(self.background)


@dataclass(frozen=True, eq=False)
class CutObject:
    """A photo and the object that was cut out of it."""

    photo: Float[Tensor, "3 h w"]
    picture: Float[Tensor, "3 n n"]
    method: str
    notes: tuple[str, ...]


def cut_object(path: Path, size: int, separation: Separation | Path) -> CutObject:
    """Open a photo, and put its object on white, in the middle of a square.

    Raises:
        NotFoundError: There is no such photo.
        InputError: It is no picture, nothing is in it, or its object could not be told from the background.
        MissingDependencyError: The way to tell it needs a package that is not installed.
    """
    opened = open_photo(path)
    cutout = cut_out(opened, separation)
    notes = [*opened.notes, *check_object(cutout, path, masks=False)]
    if separation == "auto" and cutout.confidence is not None:
        refuse_doubtful(path.name, cutout.confidence.doubts, masks=False)
    if cutout.objects > 1:
        notes.append(say_several(path.name, cutout.objects))
    picture, _ = cropped(cutout, framed_window(cutout, FRAMING), size)
    if picture.shape[-1] < size:
        notes.append(f"{path.name} shows its object smaller than the {size} pixels asked for; it was enlarged")
        picture = torch.nn.functional.interpolate(picture[None], (size, size), mode="bilinear")[0]
    seen = opened.rgb if opened.alpha is None else opened.rgb * opened.alpha + 1 - opened.alpha
    return CutObject(seen, picture, cutout.method, tuple(notes))


def cut_objects(
    places: Sequence[Path],
    *,
    options: ObjectOptions | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Cut the objects out of photos, as pictures that `gen3d train` takes.

    Args:
        places: Photos, or folders of them. Photos that lie in two or more folders have those for classes.
        options: Their size, and how an object is told from its background.
        out: The folder; None makes one in `gen3d-out`.
        overwrite: Replace an earlier output.
        dry_run: Find the objects and say what would be written, without doing it.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`; with several photos those that fail are named at the end.
    """
    options, reporter = options or ObjectOptions(), reporter or Reporter()
    separation = options.separation()
    target = output_path(out) or output_folder("align", places[0].resolve().stem)
    photos = list(dict.fromkeys(listed_photos(places, but=target)))  # each once, however often it is named
    claim_folder(target, overwrite=overwrite, reads=photos)
    asked = {"photos": [str(place) for place in places], "preset": PRESET, **vars(options)}
    run = Run("align", "", asked, dry_run=dry_run, reporter=reporter)
    classes = sorted({class_of(photo) for photo in photos})
    for line in unread_photos(places, but=target):
        reporter.say(line)
    cut = _each(photos, options.size, separation, run)
    if dry_run:
        kept = [path for path, _ in cut]
        run.note(target)
    else:
        with atomic_path(target, overwrite=overwrite) as temporary:
            kept = _write(temporary, cut, photos, classes if len(classes) > 1 else [])
            run.note(target)
            run.write_inside(temporary)
    of_classes = f" of {len(classes)} classes" if len(classes) > 1 else ""
    reporter.made(target, f"{len(kept)} objects{of_classes}; look at {OVERVIEW_NAME}", planned=dry_run)
    pictures = shlex.quote(str(target / PICTURES_NAME))
    return run.finish(next_command=f"gen3d train {pictures} -o runs/mine --recipe geometry-aware --small")


def _each(
    photos: Sequence[Path], size: int, separation: Separation | Path, run: Run
) -> Iterator[tuple[Path, CutObject]]:
    """Cut out one after the other; of several photos, those that fail are noted."""
    first: Gen3DError | None = None
    with run.reporter.progress("cutting out", len(photos)) as done:
        for number, photo in enumerate(photos, 1):
            try:
                found = cut_object(photo, size, separation)
            except Gen3DError as error:
                first = first or error
                run.failures[str(photo)] = str(error)
            else:
                for line in found.notes:
                    run.reporter.say(line)
                run.details.setdefault("objects", {})[str(photo)] = found.method
                yield photo, found
            done(number)
    if first is not None and len(run.failures) == len(photos):
        raise first


def _write(
    folder: Path, cut: Iterator[tuple[Path, CutObject]], photos: Sequence[Path], classes: Sequence[str]
) -> list[Path]:
    """Write pictures, labels and an overview as they come; give the photos."""
    names = picture_names(photos, classes)
    kept: list[Path] = []
    shown: list[list[Tensor]] = []
    for path, found in cut:
        target = folder / PICTURES_NAME / names[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, found.picture)
        kept.append(path)
        if len(shown) < _SHOWN:
            shown.append([thumbnail(found.photo), thumbnail(found.picture)])
    if classes:
        used = sorted({class_of(path) for path in kept})
        labels = [[names[path], used.index(class_of(path))] for path in kept]
        content = json.dumps({"labels": labels, "class_names": used})
        (folder / PICTURES_NAME / LABELS_NAME).write_text(content + "\n", encoding="utf-8")
    rows = [Path(names[path]).stem for path in kept[: len(shown)]]
    write_image(folder / OVERVIEW_NAME, contact_sheet(shown, rows, ["photo", "picture"]))
    return kept


def class_of(photo: Path) -> str:
    """Name the folder that a photo lies in, also where its path does not say it."""
    return Path(os.path.abspath(photo)).parent.name or "photos"


def picture_names(photos: Sequence[Path], classes: Sequence[str]) -> dict[Path, str]:
    """Name pictures after their photos, in folders of their classes; photos of one name get numbers."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for photo in photos:
        stem = f"{safe_name(class_of(photo))}/{safe_name(photo.stem)}" if classes else safe_name(photo.stem)
        name, number = f"{stem}.png", 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}.png"
        taken.add(name)
        names[photo] = name
    return names
