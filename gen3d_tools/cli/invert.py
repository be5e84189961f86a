"""`gen3d invert`."""

from typing import TYPE_CHECKING, Any

import typer

from gen3d_tools.cli import batch_options, invert_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow
from gen3d_tools.errors import InputError
from gen3d_tools.wording import option

if TYPE_CHECKING:
    from gen3d_tools.workflows.running.reporting import Reporter
    from gen3d_tools.workflows.running.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("invert", cls=Command)(invert)


def invert(
    photos: invert_options.Photos,
    each: invert_options.Each = False,
    model: invert_options.Model = "shapes",
    class_name: invert_options.ClassName = None,
    camera: invert_options.Camera = None,
    mask: invert_options.Masks = None,
    views: invert_options.Views = None,
    background: invert_options.Background = "auto",
    object_number: invert_options.ObjectNumber = None,
    align: invert_options.Align = False,
    landmarks: options.FaceLandmarks = None,
    face: options.FaceNumber = None,
    level: options.FaceLevel = False,
    preset: invert_options.Preset = "balanced",
    steps: invert_options.Steps = None,
    space: invert_options.Space = None,
    tune: invert_options.Tune = None,
    conditioning: invert_options.Conditioning = None,
    features: invert_options.Features = None,
    anyway: invert_options.Anyway = False,
    seed: invert_options.Seed = 0,
    refine: invert_options.Refine = False,
    resume: invert_options.Resume = False,
    out: options.Out = None,
    workers: batch_options.Workers = None,
    ray: batch_options.Ray = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Reconstruct the object of a photo in 3D. The result folder is a model for every other command.

    Example: `gen3d invert photo.jpg -o result`, then `gen3d video result`
    """
    from gen3d_tools.batch.options import BatchOptions
    from gen3d_tools.workflows.align import FaceOptions
    from gen3d_tools.workflows.invert.each import invert_each
    from gen3d_tools.workflows.invert.run import PhotoOptions, WorkOptions
    from gen3d_tools.workflows.invert.run import invert as invert_one
    from gen3d_tools.workflows.running.runs import RunOptions

    faces = FaceOptions.asked(align=align, landmarks=landmarks, face=face, level=level)
    about = PhotoOptions(
        masks=tuple(mask or ()),
        background=background,
        class_name=class_name,
        camera=camera,
        anyway=anyway,
        object_number=object_number,
        align=faces,
    )
    work = WorkOptions(
        preset=preset,
        steps=steps,
        space=space,
        seed=seed,
        features=features,
        tune=tune,
        conditioning=conditioning,
    )
    shared: dict[str, Any] = {"model": model, "about": about, "work": work, "refine": refine}
    several = {"workers": workers, "ray": ray}

    def begin(reporter: "Reporter") -> "Run":
        pictures = [*photos, *(views or ())]
        if each:
            batch = BatchOptions(workers=workers, ray=ray)
            settings = RunOptions(
                out=out, device=device, overwrite=overwrite, resume=resume, dry_run=dry_run, batch=batch
            )
            return invert_each(pictures, **shared, options=settings, reporter=reporter)
        for name, value in several.items():
            if value is not None:
                raise InputError(f"{option(name)} shares out photos of several objects; add {option('each', True)}")
        return invert_one(
            pictures,
            **shared,
            out=out,
            device=device,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            reporter=reporter,
        )

    run_workflow(begin, as_json=json, quiet=quiet, verbose=verbose)
