"""`gen3d invert`."""

from pathlib import Path
from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.command import Command
from gen3d_tools.cli.completion import complete_class, complete_model, complete_preset
from gen3d_tools.cli.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("invert", cls=Command)(invert)


def invert(
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO...", help="A photo, or several of one object.", show_default=False),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            autocompletion=complete_model,
            help="Bundled name, model folder, published .pkl or .pth, or Hugging Face id.",
        ),
    ] = "shapes",
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            "-c",
            autocompletion=complete_class,
            help="Class name or index. Default: estimated from the photo.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera",
            help="Camera: yaw,pitch[,fov] in degrees, or a file (EG3D's 25 numbers, a transforms.json, ...). "
            "Default: estimated from the photo.",
        ),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", help="Mask: a picture that is white where the object is. Repeat for more photos."),
    ] = None,
    views: Annotated[
        list[Path] | None,
        typer.Option("--views", hidden=True, help="A further photo of the object, as a further PHOTO is."),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            "--background", help="How the object is separated from its background: auto, alpha, border, rembg or none."
        ),
    ] = "auto",
    preset: Annotated[
        str,
        typer.Option("--preset", autocompletion=complete_preset, help="Time against quality: fast, balanced or best."),
    ] = "balanced",
    steps: Annotated[
        int | None, typer.Option("--steps", help="Number of steps of both stages together. Default: the preset's.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option("--space", help="Latent space: w+ fits closer, w stays more plausible. Default: the preset's."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="Features of the perceptual loss: encoder, lpips-vgg, lpips-alex, none, or a TorchScript file.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0,
    refine: Annotated[
        bool, typer.Option("--refine", help="With a model without latents (TripoSR): tune its planes to the photo.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run of this command.")] = False,
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
    from gen3d_tools.workflows.invert import PhotoOptions, WorkOptions
    from gen3d_tools.workflows.invert import invert as workflow

    about = PhotoOptions(masks=tuple(mask or ()), background=background, class_name=class_name, camera=camera)
    work = WorkOptions(preset=preset, steps=steps, space=space, seed=seed, features=features)
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
