"""Edits of an object by directions in latent space: which are offered, and how far it is moved along each."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.editing.directions import Direction, Directions
from gen3d_tools.editing.finding import find_directions
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.viewer.choice import Choice
from gen3d_tools.workflows.editing.known import directions_folder, known_directions, load_files

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

logger = logging.getLogger(__name__)

OFFERED = 8
"""Sliders of directions on a page."""

FARTHEST = 4.0
"""Standard deviations at the end of a slider."""

_FOUND = 6  # directions that are found where a model has none of its own


@dataclass(frozen=True, eq=False)
class Offered:
    """The directions of a model."""

    directions: Directions | None = None
    lines: str = ""
    """Python that gives them as `directions`."""

    def of(self, class_index: int | None) -> tuple[Direction, ...]:
        """Give the first ones for a class."""
        return () if self.directions is None else self.directions.of_class(class_index).entries[:OFFERED]

    def move(self, ws: Float[Tensor, "1 num_ws w_dim"], choice: Choice) -> Float[Tensor, "1 num_ws w_dim"]:
        """Apply an object's edits.

        Raises:
            InputError: A direction is not there, or an amount is out of its range.
        """
        for name, amount in choice.edits:
            if amount:
                ws = self.named(name, choice).apply(ws, amount)
        return ws

    def named(self, name: str, choice: Choice) -> Direction:
        """Find a direction for an object.

        Raises:
            InputError: There is none of that name.
        """
        if self.directions is None:
            raise InputError("this model has no directions")
        return self.directions.named(name, choice.class_index)


def offer(generator: Generator, model: str, files: Sequence[str | Path] = (), base: str | None = None) -> Offered:
    """Gather a model's directions: those beside it and in files, or else the strongest of its style layers.

    Args:
        generator: The model.
        model: What it was loaded from.
        files: Of directions, as typed.
        base: The model that a result was tuned from.

    Raises:
        Gen3DError: A file is not there, broken, or of another model.
    """
    source = directions_folder(model, base)
    known = known_directions(generator, source, load_files(generator, files))
    if known is not None:
        places = [str(file) for file in files] or [str(source.path)]
        return Offered(known, f"directions = g3.load_directions({places[-1]!r}, generator)")
    try:
        found = find_directions(generator, "sefa", count=_FOUND)
    except Gen3DError as error:
        logger.info("no directions of %s: %s", model, error)
        return Offered()
    return Offered(found, f'directions = g3.find_directions(generator, "sefa", count={_FOUND})')


class Edits:
    """The sliders of a session.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def offered(self) -> tuple[Direction, ...]:
        """The directions of the object that is looked at."""
        choice = self._session.choice
        return self._session.offered(choice.model).of(choice.class_index)

    def amount(self, name: str) -> float:
        """How far the object is moved along a direction, standard deviations."""
        return dict(self._session.choice.edits).get(name, 0.0)

    def set(self, name: str, amount: float) -> None:
        """Move the object along a direction.

        Args:
            name: Of an offered direction.
            amount: Standard deviations.

        Raises:
            InputError: There is no such direction, or it is too far.
        """
        session = self._session
        session.offered(session.choice.model).named(name, session.choice)
        if not -FARTHEST <= amount <= FARTHEST:
            raise InputError(f"{name} is {amount:g}; it must lie in -{FARTHEST:g}..{FARTHEST:g} standard deviations")
        edits = dict(session.choice.edits) | {name: amount}
        session.choose(edits=tuple((one, far) for one, far in edits.items() if far))

    def clear(self) -> None:
        """Undo all edits."""
        self._session.choose(step=True, edits=())
