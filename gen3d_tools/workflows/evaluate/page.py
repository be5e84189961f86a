"""The page of measures: a table, plots, and the pictures behind the numbers; one file that opens offline."""

import io
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gen3d_tools.errors import MissingDependencyError
from gen3d_tools.media.images import to_uint8
from gen3d_tools.media.page import PageEntry, PagePicture, PageSection, PageTable, page_text
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.system_libraries import EVAL_EXTRA
from gen3d_tools.workflows.evaluate.measures import Curve, Group, Sheet

PAGE_NAME = "index.html"
_COLOURS = ("#2b6a8f", "#c2571a", "#2f8f4e", "#8a4fa3")
_SHOWN_ROWS = 60


def check_matplotlib() -> None:
    """Make sure that plots can be drawn.

    Raises:
        MissingDependencyError: matplotlib is not installed; the message names the command.
    """
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(f"the page needs matplotlib for its plots; run: {EVAL_EXTRA}, or leave -o out")


def write_report(path: Path, title: str, groups: Sequence[Group]) -> None:
    """Write the page.

    Args:
        path: The .html file.
        title: Headline.
        groups: What was measured.
    """
    page = page_text(title=title, sections=[_section(group) for group in groups])
    path.write_text(page, encoding="utf-8")


def _section(group: Group) -> PageSection:
    measures = PageTable(
        headings=("measure", "value", "better", ""),
        rows=[(one.name, one.text, one.better, one.note) for one in group.measures],
    )
    items: list[PageEntry] = [measures]
    items += [PagePicture(png=plot(curve), caption=curve.caption or curve.title) for curve in group.curves]
    items += [PagePicture(png=_sheet(sheet), caption=sheet.title, wide=True) for sheet in group.sheets]
    if group.rows and (table := _rows(group.rows)) is not None:
        items.append(table)
    if group.facts:
        items.append(PageTable(headings=("measured with", ""), rows=_facts(group.facts)))
    return PageSection(title=group.title, items=items)


def _rows(rows: Sequence[dict[str, Any]]) -> PageTable | None:
    """The first rows as a table, where they say more than two numbers each."""
    names = [name for name, value in rows[0].items() if not isinstance(value, dict | list)]
    if len(names) < 3:
        return None
    caption = f"the first {_SHOWN_ROWS} of {len(rows)}; measures.json has all" if len(rows) > _SHOWN_ROWS else ""
    cells = [tuple(_cell(row.get(name)) for name in names) for row in rows[:_SHOWN_ROWS]]
    return PageTable(headings=tuple(name.replace("_", " ") for name in names), rows=cells, caption=caption)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What the numbers were made with, name by name."""
    rows = []
    for name, value in facts.items():
        said = name.replace("_", " ")
        if isinstance(value, dict):
            rows += [(f"{said}: {inner}", text) for inner, text in _facts(value)]
        elif isinstance(value, list | tuple):
            rows.append((said, ", ".join(_cell(one) for one in value)))
        else:
            rows.append((said, _cell(value)))
    return rows


def _sheet(sheet: Sheet) -> bytes:
    picture = contact_sheet(sheet.rows, sheet.labels, sheet.columns)
    return _png(to_uint8(picture))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def plot(curve: Curve) -> bytes:
    """Draw a histogram, or lines, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if curve.at is None:
        _histograms(axes, curve)
        axes.set_ylabel("share")
    else:
        for colour, name, values in _coloured(curve):
            axes.plot(curve.at, values, marker="o", color=colour, label=name)
        axes.grid(alpha=0.25)
    axes.set_xlabel(curve.across)
    axes.set_title(curve.title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curve.series) > 1:
        axes.legend(frameon=False, fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _coloured(curve: Curve) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Colour, name and values of each series; after the last colour the first comes again."""
    for number, (name, values) in enumerate(curve.series.items()):
        yield _COLOURS[number % len(_COLOURS)], name, values


def _histograms(axes: Any, curve: Curve) -> None:
    """Bars over common bins, each series in shares of its own number."""
    every = np.concatenate([np.asarray(values, dtype=float) for values in curve.series.values()])
    every = every[np.isfinite(every)]
    bins = np.histogram_bin_edges(every, min(40, max(8, math.ceil(2 * math.sqrt(len(every))))))
    for colour, name, values in _coloured(curve):
        finite = np.asarray(values, dtype=float)
        finite = finite[np.isfinite(finite)]
        shares = np.full(len(finite), 1 / max(len(finite), 1))
        axes.hist(finite, bins, weights=shares, color=colour, alpha=0.55, label=name)
        if len(finite):
            axes.axvline(float(np.mean(finite)), color=colour, linewidth=1, linestyle="--")
