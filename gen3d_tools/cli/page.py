"""`gen3d page`."""

from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("page", cls=Command)(page)


def page(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULT|MODEL|FILE...",
            help="Results, models, meshes (.glb .gltf .obj .ply .stl .off), pictures and films.",
            show_default=False,
        ),
    ],
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    title: Annotated[str | None, typer.Option("--title", help="Headline. Default: the names.")] = None,
    size: Annotated[int, typer.Option("--size", min=16, max=512, help="Side of the films in pixels.")] = 256,
    faces: Annotated[int, typer.Option("--faces", min=100, max=200_000, help="Faces of each model's mesh.")] = 20_000,
    texture: Annotated[
        int, typer.Option("--texture", help="Texels along each side of a mesh's texture; 0 = colours of vertices.")
    ] = 512,
    out: options.Out = None,
    base: options.Base = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show objects on one self-contained page: pictures, turntables, meshes to turn. It opens from disk, offline.

    Example: `gen3d page shapes --class mug --seeds 0,1 -o gallery.html`
    """
    from gen3d_tools.workflows.page.figures import FigureSizes
    from gen3d_tools.workflows.page.run import page as workflow
    from gen3d_tools.workflows.running.runs import RunOptions
    from gen3d_tools.workflows.samples.selection import SampleSelection

    choice = SampleSelection(seeds=seeds, classes=classes, psi=psi)
    sizes = FigureSizes(film=size, faces=faces, texture=texture)
    settings = RunOptions(out=out, device=device, overwrite=overwrite, dry_run=dry_run, base=base)
    run_workflow(
        lambda reporter: workflow(names, choice=choice, title=title, sizes=sizes, options=settings, reporter=reporter),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
