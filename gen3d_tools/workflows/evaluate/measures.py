"""What evaluating gives: named numbers in groups, with what is needed to draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher", ""]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number."""

    name: str
    value: float | None  # None: there is none, and `note` says why
    spread: float | None = None  # standard deviation
    unit: str = ""
    better: Better = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The number for people."""
        if self.value is None or not math.isfinite(self.value):
            return "-"
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        return f"{_number(self.value)}{spread}{' ' if self.unit else ''}{self.unit}"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A plot: bars of a histogram, or lines over a common axis."""

    title: str
    across: str  # what the horizontal axis is
    series: dict[str, list[float]]
    at: list[float] | None = None  # positions of the points of lines; None: values whose histogram is drawn
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Pictures side by side, rows by their labels."""

    title: str
    rows: Sequence[Sequence[Any]]  # float pictures [3, n, n] in [0, 1]
    labels: Sequence[str] | None = None
    columns: Sequence[str] | None = None


@dataclass(kw_only=True)
class Group:
    """Measures of one kind, what they were made with, and what to show of them."""

    name: str  # key in JSON
    title: str
    measures: list[Measure]
    facts: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)  # one per sample, mesh or photo
    curves: list[Curve] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Give it as plain JSON values; a number that is none, or without end, is null there."""
        found: dict[str, Any] = {}
        for one in self.measures:
            found[one.name] = {"value": one.value}
            if one.spread is not None:
                found[one.name]["spread"] = one.spread
            found[one.name] |= {key: value for key in ("unit", "better", "note") if (value := getattr(one, key))}
        rows = {"rows": self.rows} if self.rows else {}
        told: dict[str, Any] = _finite({"measures": found, "made_with": self.facts, **rows})
        return told


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> str:
    """Four digits, whatever the size."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
