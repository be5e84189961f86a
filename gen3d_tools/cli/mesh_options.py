"""The options of `gen3d mesh`."""

from typing import Annotated

import typer

Resolution = Annotated[int, typer.Option("--resolution", "-r", help="Lattice points along each side, 8-1024.")]
Level = Annotated[
    str, typer.Option("--level", help="Density at the surface, or auto: where mesh and pictures agree best.")
]
Keep = Annotated[
    float, typer.Option("--keep", help="Smallest detached part kept, as a share of the largest part's volume.")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Leave the colours out.")]
Formats = Annotated[
    str | None,
    typer.Option("--format", help="One or several of glb, gltf, ply, obj, stl, off. Default: glb, or the output's."),
]
Up = Annotated[str, typer.Option("--up", help="Upward axis of the file, y or z.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Show the mesh beside the field all around, as a picture and a film.")
]
Report = Annotated[
    bool, typer.Option("--report", help="Measure how well mesh and field agree, and the mesh's health, as JSON.")
]
