"""`gen3d mesh`."""

from typing import Annotated

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.running import run_workflow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mesh")(mesh)


def mesh(
    model: options.Model,
    seeds: options.Seeds = None,
    classes: options.Classes = None,
    psi: options.Psi = 1.0,
    resolution: Annotated[
        int, typer.Option("--resolution", "-r", help="Lattice points along each side, 8-1024.")
    ] = 256,
    level: Annotated[
        float | None, typer.Option("--level", help="Density at the surface. Default: the model's.")
    ] = None,
    keep: Annotated[
        float, typer.Option("--keep", help="Smallest detached part kept, as a share of the largest part's volume.")
    ] = 0.02,
    no_color: Annotated[bool, typer.Option("--no-color", help="Leave the vertex colours out.")] = False,
    up: Annotated[str, typer.Option("--up", help="Upward axis of the file, y or z.")] = "y",
    file_format: Annotated[
        str | None, typer.Option("--format", help="glb, gltf, ply, obj, stl or off, in a folder. Default: glb.")
    ] = None,
    out: options.Out = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Extract coloured meshes of samples, in world units: .glb, .ply, .obj or .stl.

    Example: `gen3d mesh shapes --class chair --seeds 7 -o chair.glb`
    """
    from gen3d_tools.workflows.mesh import Surface
    from gen3d_tools.workflows.mesh import mesh as workflow

    surface = Surface(resolution=resolution, level=level, keep=keep, colors=not no_color, up=up)
    run_workflow(
        lambda reporter: workflow(
            model,
            seeds=seeds,
            classes=classes,
            psi=psi,
            surface=surface,
            out=out,
            file_format=file_format,
            device=device,
            overwrite=overwrite,
            dry_run=dry_run,
            reporter=reporter,
        ),
        as_json=json,
        quiet=quiet,
        verbose=verbose,
    )
