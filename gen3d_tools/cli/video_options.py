"""The options of `gen3d video`."""

from typing import Annotated

import typer

Path = Annotated[
    str,
    typer.Option(
        "--path",
        help="orbit, wiggle, front-circle, line, spiral, a published script's (eg3d-circle, epigraf-front-circle, "
        "3dgp-front-circle, and their points, line, wiggle), or a camera file such as path.json.",
    ),
]
Seconds = Annotated[float | None, typer.Option("--seconds", help="Length. Default: 4, or the file's.")]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second. Default: 30, or the file's.")]
Show = Annotated[str, typer.Option("--show", help="Any of rgb,depth,normal, side by side.")]
Interpolate = Annotated[
    bool, typer.Option("--interpolate", help="One video that passes through all samples and back to the first.")
]
Grid = Annotated[str | None, typer.Option("--grid", help="Several samples in one video: columns x rows.")]
Format = Annotated[str | None, typer.Option("--format", help="mp4, gif, webm or frames, for videos in a folder.")]
