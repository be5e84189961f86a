"""The directions that a model has at hand, and which of them are meant."""

import math
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gen3d_tools.checkpoints.source import Source
from gen3d_tools.editing.directions import MAX_AMOUNT, Direction, Directions, load_directions, own_directions
from gen3d_tools.editing.finding import Method, find_directions
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import distinct_names, parse_seeds
from gen3d_tools.generators.source import base_source, find_source
from gen3d_tools.printable import listed
from gen3d_tools.wording import option

_FOUND = re.compile(r"(sefa|pca)-([1-9]\d{0,3})")
"""Names of directions that need no file: they are computed where they are asked for."""


@dataclass(frozen=True)
class Move:
    """One direction as typed, and how far along it."""

    name: str
    amount: float  # standard deviations

    def __str__(self) -> str:
        return f"{self.name}={self.amount:g}"


def parse_moves(texts: Sequence[str]) -> list[Move]:
    """Read `NAME=1.5`, several of them.

    Raises:
        InputError: There are none, one is written otherwise, or an amount is out of its range.
    """
    if not texts:
        raise InputError(f"nothing to change; name a direction and how far, such as {option('direction', 'size=1.5')}")
    moves = []
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if not (name.strip() and equals) or math.isnan(amount):
            raise InputError(f"direction {text[:40]!r} is not written NAME=AMOUNT, such as size=1.5")
        if abs(amount) > MAX_AMOUNT:
            limits = f"-{MAX_AMOUNT:g}..{MAX_AMOUNT:g} standard deviations"
            raise InputError(f"amount of {name} is {amount:g}; it must lie in {limits}")
        moves.append(Move(name.strip(), amount))
    return moves


def parse_layers(text: str | None) -> list[int] | None:
    """Read `0-5,8`; None are all.

    Raises:
        InputError: It is something else.
    """
    return None if text is None else parse_seeds(text)


def directions_folder(model: str, base: str | None) -> Source:
    """Find the model in whose folder directions are looked for: of a result, the one that it was tuned from.

    Raises:
        Gen3DError: There is no such model.
    """
    return base_source(find_source(model), base)


def load_files(generator: Generator, files: Sequence[str | Path]) -> list[Directions]:
    """Read files of directions.

    Raises:
        Gen3DError: One is not there, broken, or of another model.
    """
    return [load_directions(file, generator) for file in files]


def known_directions(generator: Generator, source: Source, further: Sequence[Directions]) -> Directions | None:
    """Gather the directions beside a model and those of files; of two with one name, the last file's stays.

    Args:
        generator: The model.
        source: What `directions_folder` gave.
        further: What `load_files` gave.

    Raises:
        Gen3DError: The model's own file is broken, or of another model.
    """
    known = own_directions(generator, source.path)
    for more in further:
        known = more if known is None else known.joined(more)
    return known


def check_used(files: Sequence[str | Path], further: Sequence[Directions], chosen: Collection[Direction]) -> None:
    """Refuse a file that none of the chosen directions come from.

    Raises:
        InputError: There is one.
    """
    for file, directions in zip(files, further, strict=True):
        if not any(one is entry for one in chosen for entry in directions.entries):
            raise InputError(
                f"nothing is moved along a direction of {file} (it holds {listed(list(directions.names)) or 'none'}); "
                f"name one of those with {option('direction')}, or leave {option('directions')} {file} out"
            )


def choose(known: Directions | None, generator: Generator, name: str, class_index: int | None) -> Direction:
    """Find the direction that a name means for a class; `sefa-1`, `pca-2` and the like need no file.

    Raises:
        InputError: There is none.
    """
    computed = _FOUND.fullmatch(name)
    if computed and (known is None or name not in known.names):
        count = int(computed[2])
        found = find_directions(generator, cast(Method, computed[1]), count=count)
        if len(found) < count:
            raise InputError(f"this model has {len(found)} directions of that kind; {name} is not among them")
        return found[count - 1]
    if known is None:
        raise InputError(
            f"no direction is called {name[:40]!r}: this model has none of its own; sefa-1, sefa-2, ... and pca-1, ... "
            f"are there for every model, others come from a file: {option('directions')}"
        )
    _check_class(known, generator, name, class_index)
    return known.named(name, class_index)


def _check_class(known: Directions, generator: Generator, name: str, class_index: int | None) -> None:
    """Refuse a direction that there is for other classes alone.

    Raises:
        InputError: It is one; the message says of which.
    """
    of = [one.class_index for one in known.entries if one.name == name]
    others = [index for index in of if index is not None and index != class_index]
    if class_index is None or len(others) < len(of) or not others:
        return
    names = distinct_names(generator.class_names)
    raise InputError(
        f"no direction is called {name[:40]!r} here: there is one for {listed([names[index] for index in others])}, "
        f"and what is moved is of the class {names[class_index]}; choose "
        f"{option('classes', shlex.quote(names[others[0]]), typed='--class')}"
    )
