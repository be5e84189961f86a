"""The page of a run: one HTML file with everything in it, written anew after every look; it reloads itself."""

import base64
import html
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from gen3d_tools.files import atomic_path
from gen3d_tools.training.recipes.recipe import Recipe
from gen3d_tools.training.run.looks import sheets_in
from gen3d_tools.training.run.record import Log

PAGE_NAME = "index.html"
_SHOWN_SHEETS = 12
_WIDTH, _HEIGHT, _EDGE = 420, 180, 34
_CURVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("losses", ("loss/G", "loss/D")),
    ("scores of the discriminator", ("scores/real", "scores/fake")),
    ("R1 penalty", ("loss/r1",)),
    ("FD-encoder", ("FD-encoder",)),
    ("distillation", ("loss/distillation",)),
    ("camera regularisers", ("cameras/emd", "cameras/force_mean")),
    ("pictures per second", ("pictures_per_second",)),
    ("schedule of patches", ("patches",)),
)
_COLOURS = ("#2563a8", "#c2571a", "#2f8f4e", "#8a4fa3", "#777777", "#b8960c")


def write_page(
    folder: Path, recipe: Recipe, log: Log, *, status: str, cameras: Mapping[str, Any], refresh: bool
) -> Path:
    """Write the page, whole or not at all.

    Args:
        folder: The run's folder.
        recipe: What the run was told.
        log: Its lines.
        status: One line on how it stands.
        cameras: What `camera_histograms` gave.
        refresh: Whether the page reloads itself: the run goes on.
    """
    curves = [chart(title, {key: log.series(key) for key in keys}) for title, keys in _CURVES]
    texts = {
        "refresh": '<meta http-equiv="refresh" content="30">' if refresh else "",
        "title": html.escape(f"{recipe.title}: {recipe.about}"),
        "status": html.escape(status),
        "sheets": "\n".join(_figure(path) for path in reversed(_chosen(sheets_in(folder)))),
        "curves": "\n".join(one for one in curves if one),
        "cameras": "\n".join(histogram(name, values) for name, values in cameras.items()),
        "recipe": "\n".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td><td>{html.escape(source)}</td></tr>"
            for name, value, source in recipe.explain()
        ),
    }
    page = resources.files("gen3d_tools.training.run").joinpath("page.html").read_text(encoding="utf-8")
    for name, text in texts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    path = folder / PAGE_NAME
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def chart(title: str, series: Mapping[str, Sequence[tuple[float, float]]], *, unit: str = "kimg") -> str:
    """Draw curves over thousands of pictures, or another unit, as SVG: one point is a dot, and none are nothing."""
    drawn = {name: points for name, points in series.items() if points}
    if not drawn:
        return ""
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    across, up = (right - left) or 1.0, (high - low) or 1.0

    def place(x: float, y: float) -> str:
        return f"{_EDGE + (x - left) / across * (_WIDTH - 44):.1f},{_HEIGHT - 22 - (y - low) / up * (_HEIGHT - 44):.1f}"

    parts = []
    for number, (name, points) in enumerate(drawn.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(place(*point) for point in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{line}"/>')
        if len(points) == 1:
            x, y = line.split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')
        at = _WIDTH - 8 - 120 * number
        parts.append(f'<text x="{at}" y="14" fill="{colour}" text-anchor="end">{html.escape(name)}</text>')
    parts.append(f'<text x="2" y="{_HEIGHT - 24}">{low:.3g}</text><text x="2" y="28">{high:.3g}</text>')
    parts.append(f'<text x="{_EDGE}" y="{_HEIGHT - 6}">{left:.3g} {unit}</text>')
    parts.append(f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end">{right:.3g} {unit}</text>')
    return _svg(title, parts)


def histogram(name: str, values: Mapping[str, Any]) -> str:
    """Draw how many cameras have which angle: of the prior as outlines, of the posterior filled."""
    edges, prior, posterior = values["edges"], values["prior"], values["posterior"]
    most = max(*prior, *posterior, 1)
    step = (_WIDTH - 44) / len(prior)
    parts = []
    for index, counts in enumerate(zip(prior, posterior, strict=True)):
        for count, style in zip(counts, ('fill="none" stroke="#888"', 'fill="#2563a8" opacity="0.6"'), strict=True):
            tall = count / most * (_HEIGHT - 44)
            x, y = _EDGE + index * step, _HEIGHT - 22 - tall
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{step:.1f}" height="{tall:.1f}" {style}/>')
    parts.append(f'<text x="{_EDGE}" y="{_HEIGHT - 6}">{edges[0]:.0f} degrees</text>')
    parts.append(f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end">{edges[-1]:.0f} degrees</text>')
    return _svg(f"cameras: {name}, prior (outlined) and posterior", parts)


def _svg(title: str, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">{inside}</svg></figure>'
    )


def _chosen(paths: Sequence[Path]) -> list[Path]:
    """The last sheet and others evenly over the run, so that the page stays small."""
    if len(paths) <= _SHOWN_SHEETS:
        return list(paths)
    step = (len(paths) - 1) / (_SHOWN_SHEETS - 1)
    return [paths[round(index * step)] for index in range(_SHOWN_SHEETS)]


def _figure(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    caption = f"{int(path.stem) / 1000:,.1f} thousand pictures"
    return (
        f'<figure><figcaption>{caption}</figcaption><img src="data:image/png;base64,{data}" alt="{caption}"></figure>'
    )
