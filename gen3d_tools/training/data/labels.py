"""`dataset.json`: what is known of each picture.

    {"labels": [["car/00001.png", 0], ...], "class_names": ["car", ...], "camera_angles": [["car/00001.png", [yaw,
    pitch, roll]], ...]}

A table from name to value does as well as a list of pairs. A label is a class, or EG3D's 25 camera numbers.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.errors import InputError
from gen3d_tools.printable import listed, printable, quoted

FILE = "dataset.json"
_KEYS = ("labels", "class_names", "camera_angles")
_OTHER_KEYS = ("classes", "cameras", "captions")
"""What `gen3d dataset` writes besides, for those who know it."""
_CAMERA_NUMBERS, _ANGLES = 25, 3
_ROUNDED = 1e-4
"""How far beyond pi an angle may be that was written with few digits."""
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


def read_labels(data: bytes, names: Sequence[str], where: Path, data_set: str = "") -> Labels:
    """Read what a `dataset.json` says of pictures.

    Args:
        data: Its bytes.
        names: The pictures, relative names.
        where: What messages call the file.
        data_set: Name of the folder or archive without its suffix, which EpiGRAF and 3DGP put before names.

    Raises:
        InputError: It is no such file, a picture has no label, a class has no picture, or values do not fit.
    """
    table = parse_json(data, str(where))
    if not isinstance(table, dict):
        raise InputError(f"{where} must hold a table with the key labels, got {type(table).__name__}")
    _check_keys(table, where)
    values = _values(table.get("labels"), names, where, "labels", data_set)
    angles = _values(table.get("camera_angles"), names, where, "camera_angles", data_set)
    found_angles = None if angles is None else _rows(angles, _ANGLES, names, where, "camera_angles")
    if values is None:
        if table.get("class_names"):
            raise InputError(
                f"{where} has class_names and no labels, so that no picture has a class; add labels such as "
                f'[["{printable(names[0])}", 0], ...], or leave class_names out'
            )
        return Labels(angles=found_angles)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        classes, class_names = _classes(values, table.get("class_names"), names, where)
        return Labels(classes, class_names, angles=found_angles)
    return Labels(cameras=_rows(values, _CAMERA_NUMBERS, names, where, "labels"), angles=found_angles)


def _check_keys(table: Mapping[str, Any], where: Path) -> None:
    """Refuse a file whose keys are misspelt: it would mean no labels, without a word."""
    for key in table:
        close = difflib.get_close_matches(key.lower(), _KEYS, n=1, cutoff=0.8)
        if key not in _KEYS + _OTHER_KEYS and close and close[0] not in table:
            raise InputError(
                f"{where} has the key {quoted(key)}, which is not read; did you mean {close[0]}? rename it"
            )
    if not any(key in table for key in _KEYS):
        keys = listed(list(table)) if table else "none"
        raise InputError(
            f"{where} has none of the keys {', '.join(_KEYS)} (its keys: {keys}); add labels, or rename it"
        )


def _values(entries: Any, names: Sequence[str], where: Path, key: str, data_set: str) -> list[Any] | None:
    """The value of every picture; names are found with and without their suffix and the name of the set."""
    if entries is None:
        return None
    pairs = list(entries.items()) if isinstance(entries, Mapping) else entries
    if not isinstance(pairs, list | tuple) or any(
        not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str) for pair in pairs
    ):
        raise InputError(f"{where}: {key} must be a list of pairs of a name and a value, or a table")
    exact = _unique(pairs, where, key)
    # The key of another picture with its suffix is that picture's alone: a.jpg says nothing of a.png.
    pictures, prefix = set(names), f"{data_set}/"
    spare = [name for name in exact if name not in pictures]
    shorter = {name.removeprefix(prefix): name for name in spare}
    alike: dict[str, list[str]] = {}
    for name in spare:
        alike.setdefault(_bare(name.removeprefix(prefix)), []).append(name)
    found = []
    for name in names:
        short = name.removeprefix(prefix)
        keys = [name] if name in exact else [shorter[short]] if short in shorter else alike.get(_bare(short), [])
        if not keys:
            raise InputError(f"{where} has no {key} entry for {printable(name)}; add it, or remove the picture")
        if len(keys) > 1:
            raise InputError(
                f"{where}: {key} has entries for {printable(keys[0])} and {printable(keys[1])}, either of which may be "
                f"meant for {printable(name)}; keep one"
            )
        found.append(exact[keys[0]])
    return found


def _unique(pairs: Sequence[Any], where: Path, key: str) -> dict[str, Any]:
    """Pairs as a table, if no name is there twice and each names something."""
    table: dict[str, Any] = {}
    for name, value in pairs:
        if not PurePosixPath(name).name:
            raise InputError(f"{where}: {key} has an entry for {quoted(name)}, which names no picture; remove it")
        if name in table:
            raise InputError(f"{where}: {key} has more than one entry for {printable(name)}; keep one")
        table[name] = value
    return table


def _bare(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix(""))


def _classes(values: list[Any], declared: Any, names: Sequence[str], where: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Classes and their names; every one that is declared must have a picture."""
    worst = next((i for i, value in enumerate(values) if not 0 <= value < _MAX_CLASSES), None)
    if worst is not None:
        raise InputError(
            f"{where}: the class of {printable(names[worst])} is {quoted(values[worst])}, needed are whole numbers "
            f"from 0 to {_MAX_CLASSES - 1}; number the classes from 0"
        )
    classes = np.asarray(values, dtype=np.int64)
    most = int(classes.max())
    class_names = _class_names(declared, where) or tuple(f"class {index}" for index in range(most + 1))
    count = len(class_names)
    if most >= count:
        name = printable(names[int(classes.argmax())])
        raise InputError(
            f"{where}: {name} has class {most}, but class_names holds {count} names; classes are counted from 0"
        )
    missing = sorted(set(range(count)) - set(classes.tolist()))
    if missing:
        first = printable(class_names[missing[0]])
        raise InputError(
            f"{where} declares {count} classes, {count - len(missing)} have pictures; there is none of {first}"
        )
    return classes, class_names


def _class_names(declared: Any, where: Path) -> tuple[str, ...]:
    """Names that are declared, none without: people choose classes by them, so each must be written and be one."""
    if declared is None:
        return ()
    hint = 'needed is a list of distinct printable texts, such as ["car", "chair"]; put it right, or leave it out'
    if not isinstance(declared, list) or not declared:
        raise InputError(f"{where}: class_names is {quoted(declared)}, {hint}")
    wrong = [name for name in declared if not isinstance(name, str) or not name.strip() or not name.isprintable()]
    if wrong:
        raise InputError(f"{where}: class_names holds {quoted(wrong[0])}, {hint}")
    if len(set(declared)) < len(declared):
        twice = next(name for index, name in enumerate(declared) if name in declared[:index])
        raise InputError(f"{where}: class_names holds {quoted(twice)} more than once, {hint}")
    return tuple(declared)


def _rows(values: list[Any], width: int, names: Sequence[str], where: Path, key: str) -> Tensor:
    """Numbers of equal count, one row per picture, each a camera that can be used."""
    for name, value in zip(names, values, strict=True):
        fits = isinstance(value, list | tuple) and len(value) == width
        if not fits or any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
            instead = "" if width == _ANGLES else ", or in all pictures the number of a class, counted from 0"
            raise InputError(
                f"{where}: {key} of {printable(name)} is {_found(value)}; needed are {width} numbers{instead}"
            )
    rows = torch.tensor(values, dtype=torch.float32)
    finite = rows.isfinite().all(1)
    if not finite.all():
        worst = printable(names[int(finite.int().argmin())])
        raise InputError(f"{where}: {key} of {worst} holds numbers that are not finite in 32 bits; put them right")
    check = _check_angles if width == _ANGLES else _check_cameras
    check(rows, names, where, key)
    return rows


def _found(value: Any) -> str:
    """Say what stands where numbers should: of a list, the first that is none."""
    if not isinstance(value, list | tuple):
        return quoted(value)
    wrong = [one for one in value if isinstance(one, bool) or not isinstance(one, int | float)]
    return f"{quoted(value)}, with {quoted(wrong[0])} in it" if wrong else quoted(value)


def _check_angles(rows: Float[Tensor, "n 3"], names: Sequence[str], where: Path, key: str) -> None:
    """Refuse yaws and pitches that the sphere lacks, as EpiGRAF and 3DGP do: most of them are degrees."""
    yaw, pitch = rows[:, 0], rows[:, 1]
    fits = (yaw.abs() <= math.pi + _ROUNDED) & (pitch >= -_ROUNDED) & (pitch <= math.pi + _ROUNDED)
    if not fits.all():
        worst = int(fits.int().argmin())
        raise InputError(
            f"{where}: {key} of {printable(names[worst])} has yaw {yaw[worst]:.6g} and pitch {pitch[worst]:.6g}, "
            "needed are yaws from -pi to pi and pitches from 0 to pi; give radians"
        )


def _check_cameras(rows: Float[Tensor, "n 25"], names: Sequence[str], where: Path, key: str) -> None:
    """Refuse what no camera can be made of: else the step that draws it ends the run, and names no picture."""
    try:
        Camera.from_eg3d_label(rows)
    except InputError:  # it says what, but not of which picture
        for name, row in zip(names, rows, strict=True):
            try:
                Camera.from_eg3d_label(row)
            except InputError as error:
                raise InputError(f"{where}: {key} of {printable(name)} is no camera: {error}") from error
        raise
