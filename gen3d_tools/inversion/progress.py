"""What an inversion says while it works."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["search", "stage_one", "stage_two"]


@dataclass(frozen=True)
class StepReport:
    """One step done."""

    stage: Stage
    done: int
    """Steps of this stage that are done."""
    steps: int
    """Steps of this stage, if it does not stop early."""
    loss: float
    share: float
    """Of the whole work, 0 to 1."""


Progress = Callable[[StepReport], None]
State = dict[str, Any]
"""Where an inversion stands, as tensors, numbers, words, lists and dictionaries."""

Checkpoint = Callable[[State], None]
