"""`gen3d invert`."""

import typer

from gen3d_tools.cli import invert_options, options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("invert", cls=Command)(invert)


def invert(
    photos: invert_options.Photos,
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
    from gen3d_tools.workflows.align import FaceOptions
    from gen3d_tools.workflows.invert.run import PhotoOptions, WorkOptions
    from gen3d_tools.workflows.invert.run import invert as workflow

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
    run_workflow(
        lambda reporter: workflow(
            [*photos, *(views or ())],
            model=model,
            about=about,
            work=work,
            out=out,
            device=device,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            refine=refine,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
