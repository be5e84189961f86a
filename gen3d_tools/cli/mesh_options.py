"""The options of `gen3d mesh`."""

from typing import Annotated

import typer

Resolution = Annotated[int, typer.Option("--resolution", "-r", help="Lattice points along each side, 8-1024.")]
Surface = Annotated[
    str,
    typer.Option("--surface", help="field: where its density is --level; fusion: fused from rendered views (open3d)."),
]
Level = Annotated[
    str,
    typer.Option("--level", help="Density at the surface (iso-level), or auto: where mesh and pictures agree best."),
]
Keep = Annotated[
    float, typer.Option("--keep", help="Smallest detached part to keep, as a share of the largest part's volume.")
]
KeepBackground = Annotated[
    bool, typer.Option("--keep-background", help="Keep background sheets and the walls of the box.")
]
Faces = Annotated[
    int | None,
    typer.Option(
        "--faces",
        help="Number of faces after decimation. Default: all, often 200,000; with --texture one per 20 texels.",
    ),
]
Smooth = Annotated[int, typer.Option("--smooth", help="Rounds of Taubin smoothing, which keeps the size.")]
Watertight = Annotated[
    bool,
    typer.Option(
        "--watertight", help="Make the mesh watertight: join intersecting parts, close holes. A fused one is."
    ),
]
Texture = Annotated[
    int | None,
    typer.Option("--texture", help="Texture size in pixels, such as 1024. Default: a colour per vertex instead."),
]
ColorFrom = Annotated[
    str,
    typer.Option(
        "--color-from",
        help="Source of colours: views (as cameras see them) or points (the field at each point; faster).",
    ),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Leave the colours out.")]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="File formats: one or several of glb, gltf, obj, ply, stl, off, 3mf, usdz; npz, mrc (density grids). "
        "Default: glb, or the output's.",
    ),
]
Points = Annotated[
    int | None,
    typer.Option("--points", help="Number of points of an additional point cloud, with normals and colours."),
]
Up = Annotated[str, typer.Option("--up", help="Upward axis of the file: y or z.")]
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
Center = Annotated[bool, typer.Option("--center", help="Centre the mesh at the origin.")]
Ground = Annotated[bool, typer.Option("--ground", help="Stand the object on the ground: y = 0, or z = 0 with --up z.")]
Preview = Annotated[
    bool, typer.Option("--preview", help="Show mesh and field side by side from all around, as a picture and a film.")
]
Report = Annotated[
    bool, typer.Option("--report", help="Write a JSON report: agreement of mesh and field, and the mesh's health.")
]
