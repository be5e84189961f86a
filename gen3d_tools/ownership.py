"""What in a folder is ours, and what is in the way of replacing it."""

import json
import re
from pathlib import Path
from typing import Any

from gen3d_tools.records import Record, is_log, read_log, read_record, records_in

_MODEL = re.compile(r"config\.json|model\.safetensors|encoder\.safetensors|README\.md")
_RESULT = re.compile(r"config\.json|difference\.safetensors|overview\.png|photo(-\d+)?\.png")
_FORMATS = {"gen3d-tools": _MODEL, "gen3d-tools result": _RESULT}
"""What `format` says in the config.json of models and results, and which files they have."""
_PUBLISHED = re.compile(r"config\.yaml|model\.ckpt")
MARK = "made by gen3d_tools"
"""Stands near the beginning of pictures and of COLMAP's text files: others give them the same names."""
_CAMERA_FILES = {"cameras.txt", "images.txt", "points3D.txt"}
_MARKED_BYTES = 512
_MAX_CONFIG_BYTES = 2**24


def in_the_way(folder: Path) -> list[str]:
    """Name what we did not write, or what was changed since, in a folder that is about to be replaced.

    Ours is what a record proves, in the folder, beside it or beside the folder it is in, the records, and, where there
    is none, the files of a model or a result, and a camera set or numbered frames that say so.

    Returns:
        Names relative to the folder, sorted.
    """
    names = sorted(_everything(folder))
    unproven = [name for name in names if not _is_kept_by_us(folder / name)]
    if not unproven:
        return []
    is_known = set(unproven) == _CAMERA_FILES or unproven == [f"{index:05d}.png" for index in range(len(unproven))]
    if is_known and all(_is_marked(folder / name) for name in unproven):
        return []
    inside, around = records_in(folder), [*records_in(folder.parent), *records_in(folder.parent.parent)]
    recorded = {name for name in unproven if _is_proven(name, folder, inside, around)}
    known = _FORMATS.get(str(_read_object(folder / "config.json").get("format")))
    return [
        name
        for name in unproven
        if name not in recorded and not (known is not None and known.fullmatch(name) and _is_unlisted(name, inside))
    ]


def is_part_of_model(name: str) -> bool:
    """Whether a file of this name, in the folder of a model or of a result, is part of it."""
    return any(pattern.fullmatch(name) for pattern in (*_FORMATS.values(), _PUBLISHED))


def _everything(folder: Path) -> list[str]:
    """Name every file, link and empty folder below."""
    found = []
    for path in folder.rglob("*"):
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder or not any(path.iterdir()):
            found.append(path.relative_to(folder).as_posix() + ("/" if is_folder else ""))
    return found


def _is_kept_by_us(path: Path) -> bool:
    """Whether it is a record or the log of one."""
    if is_log(path):
        return read_log(path) is not None
    return path.name.endswith(".json") and read_record(path) is not None


def _is_proven(name: str, folder: Path, inside: list[Record], around: list[Record]) -> bool:
    return any(record.proves(name) for record in inside) or any(
        record.proves(f"{folder.relative_to(record.folder).as_posix()}/{name}") for record in around
    )


def _is_unlisted(name: str, inside: list[Record]) -> bool:
    """Whether no record has a digest of a file: then it is known by the company it keeps."""
    return all(record.files.get(name) is None for record in inside)


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none, or something else."""
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= _MAX_CONFIG_BYTES else None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_marked(path: Path) -> bool:
    """Whether a file says that it is ours."""
    with path.open("rb") as file:
        return MARK.encode() in file.read(_MARKED_BYTES)
