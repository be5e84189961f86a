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
KeepBackground = Annotated[
    bool, typer.Option("--keep-background", help="Keep background sheets and the walls of the box.")
]
Faces = Annotated[int | None, typer.Option("--faces", help="Reduce to this many faces. Default: all, often 200,000.")]
Smooth = Annotated[int, typer.Option("--smooth", help="Rounds of smoothing that keeps the size.")]
Watertight = Annotated[bool, typer.Option("--watertight", help="Join parts that run into each other, close holes.")]
Texture = Annotated[
    int | None,
    typer.Option("--texture", help="Colours as a picture of this size, such as 1024. Default: one per vertex."),
]
ColorFrom = Annotated[
    str, typer.Option("--color-from", help="views: as cameras see it; points: the field's own at each point (faster).")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Leave the colours out.")]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="One or several of glb, gltf, obj, ply, stl, off, 3mf, usdz; npz, mrc: the density grid. "
        "Default: glb, or the output's.",
    ),
]
Points = Annotated[
    int | None, typer.Option("--points", help="Also write a cloud of this many points with normals and colours.")
]
Up = Annotated[str, typer.Option("--up", help="Upward axis of the file, y or z.")]
Scale = Annotated[
    str | None,
    typer.Option("--scale", metavar="LENGTH", help="Longest side: 80mm, 3in, 1m, 0.08 (m). Default: world units."),
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit", help="With --scale, of .stl .3mf .obj .ply .off: mm, cm, m, in, ft. Default: mm (stl, 3mf), m."
    ),
]
Center = Annotated[bool, typer.Option("--center", help="Put the middle of the mesh at the origin.")]
Ground = Annotated[bool, typer.Option("--ground", help="Stand the object on the ground: y = 0, or z = 0 with --up z.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Show the mesh beside the field all around, as a picture and a film.")
]
Report = Annotated[
    bool, typer.Option("--report", help="Measure how well mesh and field agree, and the mesh's health, as JSON.")
]
