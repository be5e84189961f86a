"""Measure the package beside the plain procedure and print one table.

Plain is how the published scripts work: full point queries, and the backbone again for every picture and every chunk.
Both run in turns in this process. Times are medians on the clock; ratios are medians of processor time within each
round. Trust the ratios: on a shared machine the times say little. "differ" compares the results: pictures in dB,
densities as a share of their range, planes root mean square. Whole jobs run once, each in a process of its own,
start-up included; what is wanted of them is meant for two cores.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import gen3d_tools as g3
from benchmarks import gradients, mesh, model, networks, render, startup, stylenerf, training, triposr, volumes
from benchmarks.measuring.rows import Effort, Row
from gen3d_tools.files import atomic_path
from gen3d_tools.workflows.bench.timing import machine

GROUPS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "networks": networks.rows,
    "mesh": mesh.rows,
    "render": render.rows,
    "gradients": gradients.rows,
    "training": training.rows,
    "volumes": volumes.rows,
    "model": model.rows,
    "startup": startup.rows,
    "stylenerf": stylenerf.rows,
    "triposr": triposr.rows,
}


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or `arguments` instead of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"what to measure: {', '.join(GROUPS)}; all if none is named")
    parser.add_argument("--model", default="shapes", help="bundled name or model folder")
    parser.add_argument("--only", help="the same in one word, such as networks,mesh")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of each comparison")
    parser.add_argument("--threads", type=int, help="threads of torch; as many as it likes if not given")
    parser.add_argument(
        "-o", "--json", type=Path, default=Path("gen3d-out/bench.json"), help="also write the rows here"
    )
    options = parser.parse_args(arguments)
    if options.repeat < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--repeat and --threads must be at least 1")
    named = [*options.groups, *(options.only or "").split(",")]
    options.only = [name.strip() for name in named if name.strip()] or list(GROUPS)
    if unknown := [name for name in options.only if name not in GROUPS]:
        parser.error(f"no group {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
    return options


def table(rows: Sequence[Row], title: str) -> Table:
    """Lay the rows out for a terminal."""
    drawn = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    drawn.add_column("work")
    for heading in ("plain", "here", "ratio", "differ", "peak"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("wanted", justify="right")
    drawn.add_column("note")
    for row in rows:
        plain, ours = (_seconds(value) for value in (row.plain_s, row.ours_s))
        ratio = "" if row.ratio is None else f"x {row.ratio:.2f}"
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f} GB"
        drawn.add_row(row.name, plain, ours, ratio, row.agreement, peak, row.wanted, row.note)
    return drawn


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def main(arguments: Sequence[str] | None = None, *, tiny: bool = False) -> None:
    """Measure, print the table and write the JSON file; `tiny` only shows that it works."""
    options = parse_options(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    effort = Effort(repeat=options.repeat, model=options.model, tiny=tiny)
    rows: list[Row] = []
    with Console(stderr=True).status("measuring") as status:
        for name in options.only:
            for row in GROUPS[name](effort):
                rows.append(row)
                status.update(f"measuring ({row.name} done)")
    found = machine()
    title = f"{options.model}, {found['threads']} threads on {found['cores']} cores, torch {found['torch']}"
    Console().print(table(rows, title))
    with atomic_path(options.json, overwrite=True) as temporary:
        report = {"machine": found, "model": options.model, "rows": [asdict(row) for row in rows]}
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    Console(stderr=True).print(f"written to {options.json}")


if __name__ == "__main__":
    try:
        main()
    except g3.Gen3DError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
