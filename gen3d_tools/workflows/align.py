"""`gen3d align`: photos of faces in; crops and camera labels out, as published face generators were trained on."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError, NotFoundError
from gen3d_tools.files import atomic_path, safe_name
from gen3d_tools.media.images import from_uint8, write_image
from gen3d_tools.media.photos import listed_photos, open_photo, unread_photos
from gen3d_tools.media.sheets import contact_sheet, thumbnail
from gen3d_tools.perception.faces.face import FaceDetector
from gen3d_tools.perception.faces.finding import find_detector
from gen3d_tools.photos.alignment.landmarks import Landmarks, read_landmarks
from gen3d_tools.photos.alignment.presets import AlignedFace, PresetName, align_face, check_preset
from gen3d_tools.workflows.running.claims import claim_folder
from gen3d_tools.workflows.running.places import output_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

LABELS_NAME = "dataset.json"
OVERVIEW_NAME = "overview.png"
LARGEST_SIDE = 8192  # pixels of a photo: a face may be a small part of it
_SHOWN = 12  # photos in the overview


@dataclass(frozen=True, kw_only=True)
class FaceOptions:
    """Which face of a photo is meant, and how it is cut out."""

    landmarks: str | None = None  # ten numbers or a file; None = a detector finds them
    face: int | None = None  # which of several, 1 = the largest; None = the largest
    level: bool = False  # turn the photo until the eyes are level

    @classmethod
    def asked(cls, *, align: bool, landmarks: str | None, face: int | None, level: bool) -> "FaceOptions | None":
        """Read the options of a command that aligns where it is asked to; None where it is not.

        Raises:
            InputError: Something about a face is said, and no alignment asked for.
        """
        if not align and (landmarks is not None or face is not None or level):
            raise InputError("--landmarks, --face and --level are about a face that --align cuts out; add --align")
        return cls(landmarks=landmarks, face=face, level=level) if align else None

    def check(self, photos: int) -> None:
        """Refuse what cannot be meant, before any work.

        Raises:
            InputError: Landmarks for several photos, landmarks and a face's number, or a number below 1.
        """
        if self.landmarks is not None and photos > 1:
            raise InputError(f"--landmarks are those of one photo, {photos} are given; align them one by one")
        if self.landmarks is not None and self.face is not None:
            raise InputError("--landmarks say which face is meant; leave --face out")
        if self.face is not None and self.face < 1:
            raise InputError(f"face is {self.face}; 1 is the largest face, 2 the next")


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A photo and the face that was cut out of it."""

    path: Path
    rgb: Float[Tensor, "3 h w"]
    landmarks: Landmarks
    aligned: AlignedFace
    notes: tuple[str, ...]


class FaceFinder:
    """Finds and cuts out faces; the detector is loaded when the first photo asks for one.

    Args:
        options: Which face, and how.
        preset: What kind of generator the crops are for.
    """

    def __init__(self, options: FaceOptions, preset: PresetName) -> None:
        self.options, self.preset = options, preset
        self.detector: FaceDetector | None = None

    def find(self, path: Path) -> FoundFace:
        """Open a photo and cut out its face.

        Raises:
            NotFoundError: There is no such photo, or no face in it.
            InputError: It is no picture, or its landmarks cannot be those of a face.
            MissingDependencyError: No landmarks are given, and there is no detector.
        """
        opened = open_photo(path, max_side=LARGEST_SIDE)
        rgb = opened.rgb if opened.alpha is None else opened.rgb * opened.alpha + 1 - opened.alpha
        notes = list(opened.notes)
        if self.options.landmarks is not None:
            size = (rgb.shape[-1], rgb.shape[-2])
            landmarks = read_landmarks(self.options.landmarks, size=size, name=path.name)
        else:
            landmarks, note = self._detected(rgb, path)
            notes += note
        aligned = align_face(rgb, landmarks, self.preset, level=self.options.level)
        notes += [f"{path.name}: {line}" for line in aligned.notes]
        return FoundFace(path, rgb, landmarks, aligned, tuple(notes))

    def _detected(self, rgb: Float[Tensor, "3 h w"], path: Path) -> tuple[Landmarks, list[str]]:
        """Ask the detector; several faces are said."""
        self.detector = self.detector or find_detector()
        faces = self.detector(rgb)
        if not faces:
            raise NotFoundError(
                f"no face was found in {path} by {self.detector.name}; turn it upright, give a larger photo, or name "
                "the five points by --landmarks"
            )
        number = self.options.face or 1
        if number > len(faces):
            raise InputError(f"there are {len(faces)} faces in {path}; --face must lie in 1..{len(faces)}")
        notes = []
        if len(faces) > 1 and self.options.face is None:
            notes = [f"{path.name}: there are {len(faces)} faces; the largest is taken, --face 2 is the next"]
        return Landmarks(faces[number - 1].points), notes


def align(
    photos: Sequence[Path],
    *,
    preset: str = "eg3d-ffhq",
    options: FaceOptions | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Cut the faces out of photos, and write the labels that go with the crops.

    Args:
        photos: Picture files, or folders of them; of each photo, one face is taken.
        preset: "eg3d-ffhq", "panohead" or "square".
        options: Which face, and how it is cut out.
        out: The folder; None makes one in `gen3d-out`.
        overwrite: Replace an earlier output.
        dry_run: Find the faces and say what would be written, without doing it.
        reporter: Takes messages.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`; with several photos those that fail are named at the end.
    """
    options, reporter = options or FaceOptions(), reporter or Reporter()
    finder, places = FaceFinder(options, check_preset(preset)), photos
    photos = listed_photos(places, but=output_path(out))
    options.check(len(photos))
    target = output_path(out) or output_folder("align", photos[0].stem)
    claim_folder(target, overwrite=overwrite, reads=photos)
    asked = {"photos": [photo.name for photo in photos], "preset": finder.preset, **vars(options)}
    run = Run("align", "", asked, dry_run=dry_run, reporter=reporter)
    for line in unread_photos(places, but=target):
        reporter.say(line)
    faces = _find_all(finder, photos, run)
    names = crop_names(photos)
    kept = [(names[face.path], face) for face in faces]
    run.details["faces"] = {name: _details(face) for name, face in kept}
    if not dry_run:
        with atomic_path(target, overwrite=overwrite) as temporary:
            temporary.mkdir(parents=True)
            write_faces(temporary, kept)
            run.note(target)
            run.write_inside(temporary)
    else:
        run.note(target)
    reporter.made(target, _told(kept), planned=dry_run)
    return run.finish(next_command=_next(target, kept[0][0], finder.preset))


def _find_all(finder: FaceFinder, photos: Sequence[Path], run: Run) -> list[FoundFace]:
    """Find the face of every photo; of several photos, those without one are noted."""
    faces: list[FoundFace] = []
    first: Gen3DError | None = None
    for photo in photos:
        try:
            faces.append(finder.find(photo))
        except Gen3DError as error:
            first = first or error
            run.failures[str(photo)] = str(error)  # names alone may be the same in two folders
            continue
        for line in faces[-1].notes:
            run.reporter.say(line)
    if first is not None and not faces:
        raise first
    return faces


def crop_names(photos: Sequence[Path]) -> dict[Path, str]:
    """Name the crops after their photos, without a suffix; photos of one name get numbers, and "overview" is taken."""
    names: dict[Path, str] = {}
    taken = Path(OVERVIEW_NAME).stem  # lies beside the crops
    for photo in photos:
        name, number = safe_name(photo.stem), 1
        while name == taken or name in names.values():
            number += 1
            name = f"{safe_name(photo.stem)}-{number}"
        names.setdefault(photo, name)
    return names


def write_faces(folder: Path, faces: Sequence[tuple[str, FoundFace]]) -> None:
    """Write crops, landmarks, labels and an overview into an existing folder."""
    labels = []
    for name, face in faces:
        write_image(folder / f"{name}.png", face.aligned.picture)
        size = [face.rgb.shape[-1], face.rgb.shape[-2]]
        content = {"photo": face.path.name, "size": size, "points": face.landmarks.to_dict()}
        (folder / f"{name}.landmarks.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if face.aligned.camera is not None:
            labels.append([f"{name}.png", face.aligned.camera.to_eg3d_label().tolist()])
    if labels:
        (folder / LABELS_NAME).write_text(json.dumps({"labels": labels}) + "\n", encoding="utf-8")
    rows = [[_marked(face), thumbnail(face.aligned.picture)] for _, face in faces[:_SHOWN]]
    write_image(folder / OVERVIEW_NAME, contact_sheet(rows, [name for name, _ in faces[:_SHOWN]], ["photo", "crop"]))


def _marked(face: FoundFace) -> Float[Tensor, "3 h w"]:
    """The photo, small, with its five points."""
    small = thumbnail(face.rgb)
    scale = small.shape[-1] / face.rgb.shape[-1]
    canvas = Image.fromarray((small.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for x, y in (face.landmarks.points * scale).tolist():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="red", outline="white")
    return from_uint8(np.asarray(canvas))


def _details(face: FoundFace) -> dict[str, object]:
    """What was found, as plain JSON values."""
    found: dict[str, object] = {"photo": face.path.name, "landmarks": face.landmarks.to_dict()}
    camera = face.aligned.camera
    if camera is not None:
        yaw, pitch, _ = (float(one) for one in camera.spherical())
        found |= {"yaw_deg": yaw, "pitch_deg": pitch, "roll_deg": face.aligned.roll_deg}
        found["label"] = camera.to_eg3d_label().tolist()
    return found


def _told(faces: Sequence[tuple[str, FoundFace]]) -> str:
    """Say what was made, for people."""
    if len(faces) > 1:
        return f"{len(faces)} faces"
    name, face = faces[0]
    width = face.landmarks.face_width
    found = _details(face)
    if face.aligned.camera is None:
        return f"{name}.png; a face about {width:.0f} pixels wide"
    angles = f"yaw {found['yaw_deg']:.0f}°, pitch {found['pitch_deg']:.0f}° (rough), roll {found['roll_deg']:.0f}°"
    return f"{name}.png and its label; a face about {width:.0f} pixels wide, {angles}"


def _next(target: Path, name: str, preset: PresetName) -> str:
    camera = "" if preset == "square" else f" --camera {shlex.quote(str(target / LABELS_NAME))}"
    return f"gen3d invert {shlex.quote(str(target / f'{name}.png'))} --model MODEL{camera}"
