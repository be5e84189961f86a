"""`gen3d eval`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen3d_tools.cli import batch_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import print_summary
from gen3d_tools.cli.terminal.running import run_workflow

if TYPE_CHECKING:
    from gen3d_tools.cli.terminal.console import ConsoleReporter
    from gen3d_tools.workflows.running.runs import Run

PICTURES, MESHES, INVERSION = "pictures", "meshes", "inversion"
_DEFAULT_MODEL, _DEFAULT_PRESET, _DEFAULT_POINTS, _DEFAULT_THRESHOLD = "shapes", "balanced", 50_000, 0.01
ONLY: dict[str, tuple[tuple[str, ...], object]] = {
    "against": ((PICTURES, MESHES), None),
    "geometry": ((PICTURES,), False),
    "network": ((PICTURES,), None),
    "protocol": ((PICTURES,), None),
    "samples": ((PICTURES,), None),
    "size": ((PICTURES,), None),
    "psi": ((PICTURES,), 1.0),
    "model": ((INVERSION,), _DEFAULT_MODEL),
    "preset": ((INVERSION,), _DEFAULT_PRESET),
    "lpips": ((INVERSION,), None),
    "points": ((MESHES,), _DEFAULT_POINTS),
    "threshold": ((MESHES,), _DEFAULT_THRESHOLD),
    "cache": ((PICTURES, INVERSION), None),
    "base": ((PICTURES, INVERSION), None),
    "device": ((PICTURES, INVERSION), "auto"),
    "workers": ((PICTURES,), None),
    "ray": ((PICTURES,), None),
}
"""What each option is about, and its default; the others are about everything."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval", cls=Command)(evaluate)


def evaluate(
    subject: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FOLDER",
            help="A model, or a folder or .zip of pictures; after the word meshes a folder of meshes, after the word "
            "inversion a folder of photos.",
            show_default=False,
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FOLDER", help="Real pictures, a folder or .zip; or the true meshes."),
    ] = None,
    geometry: Annotated[
        bool,
        typer.Option(
            "--geometry", help="Measure depth: flatness and consistency of views; of two sets, their depth maps."
        ),
    ] = False,
    network: Annotated[
        Path | None,
        typer.Option(
            "--network",
            metavar="FILE",
            help="The Inception network of FID: its published TorchScript, or the weights that torch-fidelity loads. "
            "Default: the bundled encoder, whose FD-encoder is no FID. Nothing is downloaded.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="How a paper draws its samples: fid2k (default), fid50k, epigraf or 3dgp."),
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Samples, instead of the protocol's.")] = None,
    size: options.Size = None,
    psi: options.Psi = 1.0,
    model: Annotated[str, typer.Option("--model", help="For inversion: the model that photos are inverted with.")] = (
        _DEFAULT_MODEL
    ),
    preset: Annotated[str, typer.Option("--preset", help="For inversion: fast, balanced or best.")] = _DEFAULT_PRESET,
    lpips: Annotated[
        str | None,
        typer.Option("--lpips", metavar="NAME|FILE", help="For inversion: lpips-vgg, lpips-alex, or a network's file."),
    ] = None,
    points: Annotated[int, typer.Option("--points", help="For meshes: points on each surface.")] = _DEFAULT_POINTS,
    threshold: Annotated[
        float, typer.Option("--threshold", help="For meshes: distance of the F-score, share of the diagonal.")
    ] = _DEFAULT_THRESHOLD,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FOLDER", help="Keep features here. Default: eval-cache beside the output."),
    ] = None,
    out: options.Out = None,
    base: options.Base = None,
    device: options.Device = "auto",
    workers: batch_options.Workers = None,
    ray: batch_options.Ray = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure a model, meshes or inversions as papers do: FID, KID, recall, geometry, Chamfer distance, novel views.

    Example: `gen3d eval shapes --against pictures --geometry --samples 256 -o report`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.workflows.running.runs import RunOptions

    typed = {name: value for name, value in locals().items() if name in ONLY and value != ONLY[name][1]}
    kind, name = _subject(subject)
    batch = BatchOptions(workers=workers, ray=ray)
    settings = RunOptions(out=out, device=device, overwrite=overwrite, dry_run=dry_run, base=base, batch=batch)

    def work(reporter: "ConsoleReporter") -> "Run":
        if kind == MESHES:
            from gen3d_tools.workflows.evaluate.meshes import MeshPlan, evaluate_meshes

            plan = MeshPlan(against=against, points=points, threshold=threshold)
            run = evaluate_meshes(name, plan, options=settings, reporter=reporter)
        elif kind == INVERSION:
            from gen3d_tools.workflows.evaluate.inversions.run import InversionPlan, evaluate_inversions
            from gen3d_tools.workflows.invert.run import WorkOptions

            inverting = InversionPlan(model=model, work=WorkOptions(preset=preset), lpips=lpips, cache=cache)
            run = evaluate_inversions(name, inverting, options=settings, reporter=reporter)
        else:
            from gen3d_tools.workflows.evaluate.run import EvalOptions, evaluate

            what = EvalOptions(
                against=against,
                geometry=geometry,
                network=network,
                protocol=protocol,
                samples=samples,
                size=size,
                psi=psi,
                cache=cache,
            )
            run = evaluate(name, what, options=settings, reporter=reporter)
        if out is None and not json:  # there is no file to name: the table is the result
            print_summary(run.summary, to_stderr=False)
            run.summary = []
        return run

    _check_fitting(kind, typed)
    run_workflow(work, as_json=json, quiet=quiet, verbose=verbose)


def _subject(words: list[str]) -> tuple[str, str]:
    """Read what is measured: the kind, and the model or folder.

    Raises:
        BadParameter: There are too many words, or too few.
    """
    kind = words[0] if words[0] in (MESHES, INVERSION) else PICTURES
    rest = words[1:] if kind != PICTURES else words
    if len(rest) != 1:
        needed = "a model or a folder of pictures" if kind == PICTURES else f"a folder after the word {kind}"
        raise typer.BadParameter(f"name one thing to measure, {needed}; got {len(rest)}")
    return kind, rest[0]


def _check_fitting(kind: str, typed: Iterable[str]) -> None:
    """Refuse options that say nothing about what is measured.

    Raises:
        InputError: There is one.
    """
    from gen3d_tools.errors import InputError

    for name in typed:
        kinds, _ = ONLY[name]
        if kind not in kinds:
            about = " and ".join({PICTURES: "models and pictures"}.get(one, one) for one in kinds)
            raise InputError(f"--{name} is about {about}, not about {kind}; leave it out")
