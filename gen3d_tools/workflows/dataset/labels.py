"""The dataset.json of a set that generators train on: what is known of each picture.

    eg3d  {"labels": [["chair-0000/000.png", [16 numbers of cam2world, 9 of the lens]], ...], ...}
    3dgp  {"labels": [["chair-0000/000.png", class], ...], "camera_angles": [[..., [yaw, pitch, roll]], ...], ...}

Both have captions and the names of classes too, which readers of either pass over.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.poses import pose_of
from gen3d_tools.files import atomic_path
from gen3d_tools.workflows.samples.selection import Sample

_VOWELS = tuple("aeiou")


@dataclass(frozen=True, eq=False)
class Labelled:
    """An object whose pictures are in the set."""

    sample: Sample
    pictures: Sequence[str]
    """Names relative to the file."""
    cameras: Camera
    """One for each, [views]."""


def caption_of(class_name: str) -> str:
    """Say what a picture shows: "a picture of a chair"."""
    what = class_name.split(",")[0].strip().replace("_", " ") or "object"  # ImageNet's names are lists of synonyms
    return f"a picture of {'an' if what.lower().startswith(_VOWELS) else 'a'} {what}"


def write_labels(path: Path, objects: Sequence[Labelled], file_format: str, *, overwrite: bool) -> None:
    """Write what is known of every picture.

    Args:
        path: The file.
        objects: What is in the set; classes are counted in the order in which they appear.
        file_format: "eg3d" or "3dgp".
        overwrite: Whether an existing file may be replaced.

    Raises:
        Gen3DError: It cannot be written.
    """
    classes = list(dict.fromkeys(one.sample.class_name for one in objects))
    numbers = [(name, classes.index(one.sample.class_name)) for one in objects for name in one.pictures]
    content: dict[str, Any] = {}
    if file_format == "eg3d":
        content["labels"] = _rows(objects, lambda cameras: cameras.to_eg3d_label().tolist())
        content["classes"] = [list(pair) for pair in numbers]
    else:
        content["labels"] = [list(pair) for pair in numbers]
        content["camera_angles"] = _rows(objects, lambda cameras: pose_of(cameras).angles.tolist())
        content["cameras"] = _rows(objects, lambda cameras: cameras.to_eg3d_label().tolist())
    if any(classes):
        content["class_names"] = classes
    content["captions"] = [[name, caption_of(one.sample.class_name)] for one in objects for name in one.pictures]
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_text(_lines(content), encoding="utf-8")


def _rows(objects: Sequence[Labelled], numbers: Callable[[Camera], list[Any]]) -> list[list[Any]]:
    return [[name, row] for one in objects for name, row in zip(one.pictures, numbers(one.cameras), strict=True)]


def _lines(content: dict[str, Any]) -> str:
    """Write JSON with one picture in a line."""
    parts = []
    for key, value in content.items():
        if value and isinstance(value[0], list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
