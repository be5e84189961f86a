"""`gen3d edit`: a sample, or the object of a result, moved along directions: a folder that every command takes."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.checkpoints.results import StoredResult, read_result, write_result
from gen3d_tools.checkpoints.source import Source
from gen3d_tools.checkpoints.weight_delta import Difference, no_difference
from gen3d_tools.editing.directions import Direction, Directions
from gen3d_tools.errors import Gen3DError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.generators.source import find_source, reference
from gen3d_tools.generators.tuned import find_base
from gen3d_tools.media.images import write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.editing.known import (
    Move,
    check_used,
    choose,
    directions_folder,
    known_directions,
    load_files,
    parse_moves,
)
from gen3d_tools.workflows.running.claims import check_names, claim_folder
from gen3d_tools.workflows.running.inputs import input_digest
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import Sample, SampleSelection, make_ws
from gen3d_tools.workflows.samples.views import ViewOptions

OVERVIEW_NAME = "overview.png"
_TURNS = (0.0, 120.0, 240.0)  # degrees from the default view
_PICTURE = 224  # pixels


def edit(
    model: str,
    directions: Sequence[str],
    *,
    choice: SampleSelection | None = None,
    files: Sequence[str] = (),
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Move samples along directions; each becomes a result folder.

    Args:
        model: Whatever `load_generator` takes; of a result without seeds, its own object is moved.
        directions: "NAME=AMOUNT", amounts in standard deviations of w; all of them are applied.
        choice: Which samples.
        files: Files of directions beside the model's own.
        options: The folder of the result, or, of several samples, the folder that theirs are in.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, options, reporter = choice or SampleSelection(), options or RunOptions(), reporter or Reporter()
    moves = parse_moves(directions)
    target = options.target("edit", model, [*choice.name_parts, *map(str, moves)])
    source, base = find_source(model), directions_folder(model, options.base)
    generator = load_generator(model, device=options.device, base=options.base)
    samples = list(dict.fromkeys(choice.samples(generator)))
    further = load_files(generator, files)
    known = known_directions(generator, base, further)
    several = len(samples) > 1
    plan = [
        _Edit(one, target / one.stem if several else target, _steps(known, generator, moves, one)) for one in samples
    ]
    check_used(files, further, [direction for made in plan for direction, _ in made.steps])
    check_names([made.folder for made in plan])
    reads = [*files, *([] if options.base is None else [options.base])]
    for made in plan:
        claim_folder(made.folder, overwrite=options.overwrite, reads=reads, model=model)
    run = Run("edit", model, choice.record(generator), dry_run=options.dry_run, reporter=reporter)
    run.options |= {"directions": [str(move) for move in moves], "files": [Path(file).name for file in files]}
    run.options |= {"files_sha256": [input_digest(file) for file in files]}
    if options.dry_run:
        for made in plan:
            run.add(made.folder, made.line)
        return run
    difference = read_result(source.path, source.config).difference if source.kind == "result" else no_difference()
    with reporter.progress("editing", len(plan)) as done:
        for count, made in enumerate(plan, start=1):
            _write(run, made, generator, source, choice.psi, difference, overwrite=options.overwrite)
            done(count)
    shown = shlex.quote(str(plan[0].folder))
    return run.finish(next_command=f"gen3d video {shown}{_base_option(plan[0].folder, source, base)}")


@dataclass(frozen=True)
class _Edit:
    """One sample, where it goes, and what is done to it."""

    sample: Sample
    folder: Path
    steps: Sequence[tuple[Direction, float]]

    @property
    def moves(self) -> str:
        return ", ".join(f"{direction.name} {amount:+g}" for direction, amount in self.steps)

    @property
    def line(self) -> str:
        return f"{self.sample.label}: {self.moves}"


def _steps(
    known: Directions | None, generator: Generator, moves: Sequence[Move], one: Sample
) -> list[tuple[Direction, float]]:
    return [(choose(known, generator, move.name, one.class_index), move.amount) for move in moves]


def _write(
    run: Run,
    one: _Edit,
    generator: Generator,
    source: Source,
    psi: float,
    difference: Difference,
    *,
    overwrite: bool,
) -> None:
    """Write one result folder, whole or not at all."""
    ws = moved = make_ws(generator, [one.sample], psi)
    for direction, amount in one.steps:
        moved = direction.apply(moved, amount)
    stored = StoredResult(
        base=reference(source),
        ws=moved.detach().cpu().float(),
        camera=generator.default_camera().to_eg3d_label().detach().cpu(),
        class_index=one.sample.class_index,
        difference=difference,
        report=_report(run, one),
    )
    with atomic_path(one.folder, overwrite=overwrite) as temporary:
        temporary.mkdir(parents=True)
        write_result(temporary, stored)
        write_image(temporary / OVERVIEW_NAME, _overview(generator, torch.cat([ws, moved])))
        run.note(one.folder)
        run.write_inside(temporary)
    run.reporter.made(one.folder, one.line)


def _report(run: Run, one: _Edit) -> dict[str, Any]:
    """Say how it came about; what `gen3d info` tells."""
    return {
        "photos": [],
        "class_name": one.sample.class_name or None,
        "warnings": [],
        "edit": {
            "of": f"{Path(run.model).name} {one.sample.label}",
            "seed": one.sample.seed,
            "directions": [
                {"name": direction.name, "amount": amount, "layers": list(direction.layers), "method": direction.method}
                for direction, amount in one.steps
            ],
        },
    }


def _overview(generator: Generator, both: Float[Tensor, "2 num_ws w_dim"]) -> Float[Tensor, "3 height width"]:
    """Draw the object before and after, from three sides."""
    cameras = [ViewOptions().camera(generator, turn) for turn in _TURNS]
    rows = []
    for field in generator.fields(both):
        configs = [config_for(camera, generator.settings) for camera in cameras]
        shots = zip(cameras, configs, strict=True)
        rows.append([render(field, camera, resolution=_PICTURE, config=config).rgb.cpu() for camera, config in shots])
    return contact_sheet(rows, ["before", "after"], [f"{turn:+g}°" if turn else "front" for turn in _TURNS])


def _base_option(folder: Path, source: Source, base: Source) -> str:
    """What to type after the result so that its base is found; nothing for a bundled model, or one beside it."""
    try:
        find_base(folder, reference(source))
    except Gen3DError:
        return f" --base {shlex.quote(base.name)}"
    return ""
