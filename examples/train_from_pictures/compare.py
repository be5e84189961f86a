"""Train pairs of generators that differ in one thing, for equal processor minutes, and draw the curves side by side.

    python examples/train_from_pictures/compare.py work --pictures three --held-out held --truth truth.json

Every run is trained in slices and measured after each, so that a queue which is killed goes on where it stopped: give
the same command again. `work/index.html` shows the curves, `work/results.json` has the numbers. `--only NAME` takes
some of the comparisons, `--report` draws what there is without training.
"""

import argparse
import html
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import measure

from gen3d_tools.files import atomic_path
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.run.folder import LATEST
from gen3d_tools.training.run.page import chart
from gen3d_tools.workflows.train import TrainOptions, train

MEASURED = "measured.json"
LONG = "main"
WRONG_PRIOR = (
    'prior.yaw={shape="uniform", low=-1.2, high=1.2}',
    'prior.pitch={shape="uniform", low=1.1, high=1.9}',
)
"""Twice as wide as the cameras of `make_pictures.py --bell`, and level where those look down."""
RIGHT_PITCH = 'prior.pitch={shape="uniform", low=0.95, high=1.55}'
"""As wide as the recipe's, around the mean pitch of `make_pictures.py --bell`."""
SHARED = ("data.mirror=false",)
"""Of all runs. Handles of mugs are on one side: mirrored copies would be another half of the distribution to learn,
and none of what is measured against."""
FINER_PLANES = ("generator.plane_resolution=64", "patches.anneal_kimg=0")
"""Of a run that goes on where another one's planes are too coarse for what is missing: details."""
EMPTINESS = "losses.sparsity_weight=4"


@dataclass(frozen=True)
class Variant:
    """One side of a comparison: a recipe, what is set otherwise, and whose networks it begins with."""

    recipe: str
    changes: tuple[str, ...] = ()
    start: tuple[str, str] | None = None  # comparison and variant, of the same seed, that is trained before
    finish: bool = False  # by the recipe's values for a last part


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in one thing."""

    question: str
    variants: dict[str, Variant] = field(default_factory=dict)


COMPARISONS: dict[str, Comparison] = {
    "cameras": Comparison(
        "Is the camera distribution found?",
        {
            "learned": Variant("3dgp", WRONG_PRIOR),
            "free mean": Variant("3dgp", (*WRONG_PRIOR, "cameras.force_mean=0.02")),
            "fixed": Variant("3dgp", (*WRONG_PRIOR, "generator.camera_generator=false")),
        },
    ),
    "patches": Comparison(
        "Do patches pay?",
        {
            "annealed": Variant("epigraf"),
            "uniform": Variant("epigraf", ("patches.distribution=uniform",)),
            "whole": Variant("epigraf", ("patches.distribution=full", "patches.side=64")),
        },
    ),
    "distillation": Comparison(
        "Does distillation pay?",
        {"distilled": Variant("3dgp"), "plain": Variant("3dgp", ("losses.distillation_weight=0.0",))},
    ),
    "pitch": Comparison(
        "Does it matter that the prior's mean pitch is right?",
        {"recipe": Variant("3dgp"), "right": Variant("3dgp", (RIGHT_PITCH,))},
    ),
    "unseen": Comparison(
        "What keeps matter from growing where no picture shows?",
        {
            "nothing": Variant("3dgp", (*FINER_PLANES, RIGHT_PITCH), start=("pitch", "right")),
            "emptiness": Variant("3dgp", (*FINER_PLANES, RIGHT_PITCH, EMPTINESS), start=("pitch", "right")),
            "and the prior's cameras": Variant(
                "3dgp", (*FINER_PLANES, RIGHT_PITCH, EMPTINESS, "cameras.prior_share=0.2"), start=("pitch", "right")
            ),
        },
    ),
    LONG: Comparison(
        "How good does it get, with a last part?",
        {
            "finish": Variant("3dgp", start=("pitch", "recipe"), finish=True),
            "right pitch": Variant("3dgp", (RIGHT_PITCH,), start=("pitch", "right"), finish=True),
        },
    ),
    "views": Comparison(
        "Do several views keep the variety?",
        {
            "two views": Variant("geometry-aware"),
            "one view": Variant("geometry-aware", ("discriminator.views=1",)),
        },
    ),
}


@dataclass(frozen=True)
class Queue:
    """What all runs share."""

    work: Path
    pictures: Path
    reference: measure.Reference | None
    truth: Any
    minutes: float
    long_minutes: float
    slice_minutes: float

    def folder(self, name: str, variant: str, seed: int) -> Path:
        """Where a run lives."""
        return self.work / f"{name} {variant} {seed}".replace(" ", "-")

    def run(self, name: str, variant: str, seed: int) -> None:
        """Train and measure slice by slice, from where the run stands."""
        told = COMPARISONS[name].variants[variant]
        folder, whole = self.folder(name, variant, seed), self.long_minutes if name == LONG else self.minutes
        if told.start is not None:
            self.run(*told.start, seed)
        start = None if told.start is None else str(self.folder(*told.start, seed))
        while (done := len(measurements(folder))) < math.ceil(whole / self.slice_minutes):
            until = min((done + 1) * self.slice_minutes, whole)
            print(f"{folder.name}: to {until:g} of {whole:g} processor minutes", flush=True)
            changes = (*SHARED, *told.changes, f"run.seed={seed}", f"run.processor_minutes={until}", "run.score_kimg=0")
            resume = (folder / LATEST).exists()
            if folder.exists() and not resume:  # killed before its first snapshot
                shutil.rmtree(folder)
            options = TrainOptions(
                recipe=told.recipe,
                small=True,
                finish=told.finish,
                changes=changes,
                resume=resume,
                start=start,
                device="cpu",
            )
            train(self.pictures, folder, options)
            generator = load_generator(folder / LATEST, device="cpu")
            found = measure.measure(generator, reference=self.reference, truth=self.truth)
            found["minutes"] = until
            found["thousand_pictures"] = generator.settings.provenance["thousand_pictures"]
            kept = [*measurements(folder), found]
            with atomic_path(folder / MEASURED, overwrite=True) as path:
                path.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            write_report(self.work)


def measurements(folder: Path) -> list[dict[str, Any]]:
    """What has been measured of a run, slice by slice."""
    path = folder / MEASURED
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def figures(found: dict[str, Any]) -> dict[str, float]:
    """The numbers of one measurement that curves are drawn of: classes and views are averaged."""
    classes = [value for value in found.values() if isinstance(value, dict) and "sameness" in value]

    def mean(key: str) -> float:
        values = [sum(one[key]) / len(one[key]) for one in classes]
        return round(sum(values) / len(values), 4)

    def against_truth(key: str) -> float:
        return round(sum(one[key][0] / one[key][1] for one in classes) / len(classes), 4)

    numbers = {
        "silhouette overlap": mean("silhouette_overlap"),
        "depth correlation": mean("depth_correlation"),
        "non-flatness, share of true": against_truth("non_flatness"),
        "sameness, share of true": against_truth("sameness"),
        "spread of colours, share of true": against_truth("colour_spread"),
    }
    if all("detail" in one for one in classes):  # runs measured before there was this figure go on
        numbers["fine detail, share of true"] = against_truth("detail")
    if "fd_encoder" in found:
        numbers["FD-encoder"] = found["fd_encoder"]
    numbers |= {f"cameras: {name}": value for name, value in found.get("cameras", {}).items()}
    return numbers


def write_report(work: Path) -> None:
    """Draw the curves of all runs in a folder, a chart for each comparison and figure, and a table of the ends."""
    results: dict[str, Any] = {}
    parts = []
    for name, comparison in COMPARISONS.items():
        curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for folder in sorted(work.glob(f"{name}-*")):
            label = folder.name.removeprefix(f"{name}-")
            for found in measurements(folder):
                for figure, value in figures(found).items():
                    curves.setdefault(figure, {}).setdefault(label, []).append((found["minutes"], value))
        if not curves:
            continue
        results[name] = curves
        parts.append(f"<h2>{html.escape(comparison.question)}</h2>")
        parts += [chart(figure, series, unit="minutes") for figure, series in curves.items()]
        parts.append(_table(curves))
    page = f'<!doctype html><meta charset="utf-8"><title>comparisons</title>{_STYLE}<h1>Comparisons</h1>'
    for name, text in (("results.json", json.dumps(results, indent=1)), ("index.html", page + "\n".join(parts))):
        with atomic_path(work / name, overwrite=True) as path:
            path.write_text(text, encoding="utf-8")


_STYLE = "<style>body{font:14px sans-serif;margin:2em}figure{display:inline-block}td,th{padding:.1em .8em}</style>"


def _table(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> str:
    labels = sorted({label for series in curves.values() for label in series})
    head = "".join(f"<th>{html.escape(label)}</th>" for label in labels)
    rows = []
    for figure, series in curves.items():
        cells = "".join(f"<td>{series[one][-1][1]:.3f}</td>" if one in series else "<td></td>" for one in labels)
        rows.append(f"<tr><td>{html.escape(figure)}</td>{cells}</tr>")
    return f"<table><tr><th>at the end</th>{head}</tr>{''.join(rows)}</table>"


def main(arguments: Sequence[str] | None = None) -> None:
    """Work the queue off: one seed of everything first, then the next."""
    parser = argparse.ArgumentParser(description="Measured comparisons of ways to train.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--pictures", type=Path, help="What is learned from; with depth maps.")
    parser.add_argument("--held-out", type=Path, help="Other pictures of the same kind, for FD-encoder.")
    parser.add_argument("--truth", type=Path, help="Poses of the pictures.")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--minutes", type=float, default=25.0, help="Processor minutes of a run.")
    parser.add_argument("--long-minutes", type=float, default=180.0, help=f"Of the run {LONG}, which has one seed.")
    parser.add_argument("--slice", type=float, default=5.0, help="Processor minutes between two measurements.")
    parser.add_argument("--report", action="store_true", help="Draw what there is.")
    options = parser.parse_args(arguments)
    if options.report:
        write_report(options.work)
        return
    if options.pictures is None:
        parser.error("give --pictures, or --report to draw what there is")
    options.work.mkdir(parents=True, exist_ok=True)
    reference = None if options.held_out is None else measure.Reference(options.held_out, 64)
    truth = None if options.truth is None else measure.read_truth(options.truth)
    times = (options.minutes, options.long_minutes, options.slice)
    queue = Queue(options.work, options.pictures, reference, truth, *times)
    for seed in options.seeds:
        for name in options.only:
            if name == LONG and seed != options.seeds[0]:
                continue
            for variant in COMPARISONS[name].variants:
                queue.run(name, variant, seed)


if __name__ == "__main__":
    main()
