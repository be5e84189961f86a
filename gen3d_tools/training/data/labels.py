"""`dataset.json`: what is known of each picture.

    {"labels": [["car/00001.png", 0], ...], "class_names": ["car", ...], "camera_angles": [["car/00001.png", [yaw,
    pitch, roll]], ...]}

A table from name to value does as well as a list of pairs. A label is a class, or EG3D's 25 camera numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable

FILE = "dataset.json"
_CAMERA_NUMBERS, _ANGLES = 25, 3
_MAX_CLASSES = 100_000


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known, one row per picture."""

    classes: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    cameras: Tensor | None = None
    """EG3D's camera numbers [n, 25]."""
    angles: Tensor | None = None
    """Yaw, pitch and roll, radians [n, 3]."""
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_labels(data: bytes, names: Sequence[str], where: Path) -> Labels:
    """Read what a `dataset.json` says of pictures.

    Args:
        data: Its bytes.
        names: The pictures, relative names.
        where: What messages call the file.

    Raises:
        InputError: It is no such file, a picture has no label, a class has no picture, or values do not fit.
    """
    table = parse_json(data, str(where))
    if not isinstance(table, dict):
        raise InputError(f"{where} must hold a table with the key labels, got {type(table).__name__}")
    values = _values(table.get("labels"), names, where, "labels")
    angles = _values(table.get("camera_angles"), names, where, "camera_angles")
    found_angles = None if angles is None else _rows(angles, _ANGLES, names, where, "camera_angles")
    if values is None:
        return Labels(angles=found_angles)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        classes, class_names = _classes(values, table.get("class_names"), names, where)
        return Labels(classes, class_names, angles=found_angles)
    return Labels(cameras=_rows(values, _CAMERA_NUMBERS, names, where, "labels"), angles=found_angles)


def _values(entries: Any, names: Sequence[str], where: Path, key: str) -> list[Any] | None:
    """The value of every picture; names are found with and without their suffix."""
    if entries is None:
        return None
    pairs = list(entries.items()) if isinstance(entries, Mapping) else entries
    if not isinstance(pairs, list | tuple) or any(
        not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str) for pair in pairs
    ):
        raise InputError(f"{where}: {key} must be a list of pairs of a name and a value, or a table")
    exact = dict(pairs)
    bare: dict[str, Any] = {}
    for name, value in pairs:
        bare.setdefault(_bare(name), value)
    found = []
    for name in names:
        if name in exact:
            found.append(exact[name])
        elif _bare(name) in bare:
            found.append(bare[_bare(name)])
        else:
            raise InputError(f"{where} has no {key} entry for {printable(name)}; add it, or remove the picture")
    return found


def _bare(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix(""))


def _classes(values: list[Any], declared: Any, names: Sequence[str], where: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Classes and their names; every one that is declared must have a picture."""
    worst = next((i for i, value in enumerate(values) if not 0 <= value < _MAX_CLASSES), None)
    if worst is not None:
        raise InputError(f"{where}: the class of {printable(names[worst])} is {values[worst]}, it must be 0 or more")
    classes = np.asarray(values, dtype=np.int64)
    count = int(classes.max()) + 1 if declared is None else len(declared)
    class_names = tuple(f"class {index}" for index in range(count)) if declared is None else tuple(map(str, declared))
    if int(classes.max()) >= count:
        name = printable(names[int(classes.argmax())])
        raise InputError(f"{where}: {name} has class {classes.max()}, but class_names holds {count} names")
    missing = sorted(set(range(count)) - set(classes.tolist()))
    if missing:
        first = printable(class_names[missing[0]])
        raise InputError(
            f"{where} declares {count} classes, {count - len(missing)} have pictures; there is none of {first}"
        )
    return classes, class_names


def _rows(values: list[Any], width: int, names: Sequence[str], where: Path, key: str) -> Tensor:
    """Numbers of equal count, one row per picture."""
    for name, value in zip(names, values, strict=True):
        fits = isinstance(value, list | tuple) and len(value) == width
        if not fits or any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
            raise InputError(f"{where}: {key} of {printable(name)} must be {width} numbers, or a class in all pictures")
    rows = torch.tensor(values, dtype=torch.float32)
    if not rows.isfinite().all():
        raise InputError(f"{where}: {key} holds numbers that are not finite")
    return rows
