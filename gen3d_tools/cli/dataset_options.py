"""The options of `gen3d dataset`."""

from typing import Annotated

import typer

from gen3d_tools.cli.terminal.completion import complete_path

Views = Annotated[int, typer.Option("--views", help="Pictures of each object, up to 1000.")]
Form = Annotated[
    str,
    typer.Option(
        "--format",
        help="nerfstudio, colmap or blender: each object in a folder of its own; eg3d or 3dgp: one set to train a "
        "generator on. blender splits: of every ten pictures eight for training, the fifth for validation, the tenth "
        "for test.",
    ),
]
Cameras = Annotated[
    str,
    typer.Option(
        "--cameras",
        help="sphere: spread evenly over a band of the sphere, another turn for each object; path: along --path; "
        "model: drawn from the model's own distribution.",
    ),
]
Path = Annotated[
    str,
    typer.Option(
        "--path",
        autocompletion=complete_path,
        help="With --cameras path: orbit, wiggle, spiral, ... as `gen3d video` has them, or a camera file.",
    ),
]
PitchRange = Annotated[
    str | None,
    typer.Option(
        "--pitch-range",
        metavar="LOW,HIGH",
        help="With --cameras sphere: lowest and highest pitch in degrees. Default: -30,75, where the model is trusted.",
    ),
]
Include = Annotated[
    str | None,
    typer.Option(
        "--include",
        metavar="KINDS",
        help="What is written beside pictures and cameras: any of depth (16-bit PNG, millimetres), depth-float (.npy, "
        "world units), normals, masks, points, mesh; or none. Default: all.",
    ),
]
Resolution = Annotated[int, typer.Option("--resolution", "-r", help="Lattice points along each side for the mesh.")]
Points = Annotated[int, typer.Option("--points", help="Points sampled from the mesh, with colours and normals.")]
Splats = Annotated[bool, typer.Option("--splats", help="Write Gaussian splats of each object too: splats.ply.")]
