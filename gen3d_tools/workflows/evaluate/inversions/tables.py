"""The results of many photos, class by class, in Markdown.

A row is the line of one photo: `true_class`, `encoder` (what `judge_encoder` gives), `inversion` (of
`judge_inversion`) and `cpu_seconds`; what is not known is left out or None.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]


def mean(rows: Sequence[Row], part: str, key: str) -> float | None:
    """Average a number of some rows, true counting as 1; None where no row has it."""
    values = [row[part][key] for row in rows if part in row and row[part].get(key) is not None]
    return float(np.mean([float(value) for value in values])) if values else None


def accuracy(rows: Sequence[Row], part: str) -> float | None:
    """Share of the photos whose class was found; None where none is known."""
    known = [row for row in rows if row.get("true_class") is not None and part in row]
    return float(np.mean([row[part]["class"] == row["true_class"] for row in known])) if known else None


def groups_of(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """Rows by their class, then all of them."""
    known = [(name, [row for row in rows if row.get("true_class") == name]) for name in names]
    return [*((name, group) for name, group in known if group), ("**all**", list(rows))]


def inversion_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Write what inversions found, a line per class and their mean."""
    lines = [
        "| class | photos | class right | azimuth right | encoder alone | input, dB | novel views, dB | improved "
        "| mesh IoU | CPU s |",
        "|" + " --- |" * 10,
    ]
    for name, group in groups_of(rows, names):
        done = [row for row in group if "inversion" in row]
        if not done:
            continue
        cells = [
            name,
            str(len(done)),
            percent(accuracy(done, "inversion")),
            percent(mean(done, "inversion", "yaw_right")),
            f"{percent(accuracy(group, 'encoder'))} / {percent(mean(group, 'encoder', 'yaw_right'))}",
            _stages(done, "input"),
            _stages(done, "novel"),
            percent(mean(done, "inversion", "improved")),
            number(mean(done, "inversion", "mesh_iou"), 3),
            number(float(np.mean([row["cpu_seconds"] for row in done])), 0),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def encoder_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Write what the encoder alone is worth."""
    lines = [
        "| class | photos | class right | azimuth right | one of three directions right | azimuth error "
        "| pitch error | familiarity |",
        "|" + " --- |" * 8,
    ]
    for name, group in groups_of(rows, names):
        cells = [
            name,
            str(len(group)),
            percent(accuracy(group, "encoder")),
            percent(mean(group, "encoder", "yaw_right")),
            percent(mean(group, "encoder", "one_of_3_within_10")),
            number(mean(group, "encoder", "yaw_error"), 1, "°"),
            number(mean(group, "encoder", "pitch_error"), 1, "°"),
            number(mean(group, "encoder", "familiarity"), 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _stages(rows: Sequence[Row], what: str) -> str:
    one, two = mean(rows, "inversion", f"{what}_one"), mean(rows, "inversion", f"{what}_two")
    return f"{number(one, 1)} -> {number(two, 1)}"


def percent(share: float | None) -> str:
    """A share for people."""
    return "-" if share is None else f"{share:.0%}"


def number(value: float | None, digits: int, unit: str = "") -> str:
    """A number for people."""
    return "-" if value is None else f"{value:.{digits}f}{unit}"
