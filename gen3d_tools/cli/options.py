"""The options several commands share, declared once."""

from typing import Annotated

import typer

from gen3d_tools.cli.terminal.completion import complete_class, complete_model, complete_path

Model = Annotated[
    str,
    typer.Argument(
        autocompletion=complete_model,
        help="Bundled name (shapes), model folder, inversion result, published .pkl or .pth, or Hugging Face id.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option("--base", help="Base model of an inversion result, if it is neither bundled nor beside the result."),
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", "-s", help="Seeds, such as 0,2,5-9. Default: 0, or the object of an inverted photo."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--class",
        "-c",
        autocompletion=complete_class,
        help="Class names or indices, such as mug,3,5-7, or all. Default: the seed chooses.",
    ),
]
Psi = Annotated[float, typer.Option("--psi", help="Truncation: 1 = as trained, 0 = the class mean.")]
Out = Annotated[
    str | None,
    typer.Option(
        "--out", "-o", metavar="PATH", help="Output file or folder (ends in /). Default: a new folder in ./gen3d-out."
    ),
]
"""As typed: a slash at the end, which `Path` forgets, says that it is a folder."""
Device = Annotated[
    str,
    typer.Option(
        "--device", help="Device: auto, cpu, cuda, cuda:1, mps; where work is spread, cuda:0,1: a process on each."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of paths.")]
JsonRecord = Annotated[bool, typer.Option("--json", help="Print JSON.")]  # of commands that only tell
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only, no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print log messages too.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Keep the outputs of an interrupted run of this command, make the others.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and stop.")]
FaceLandmarks = Annotated[
    str | None,
    typer.Option(
        "--landmarks",
        help="Five points in pixels of the photo, as ten numbers x,y or a JSON file: eyes, nose, corners of the mouth; "
        "left ones first. Default: found by a detector.",
    ),
]
FaceNumber = Annotated[
    int | None, typer.Option("--face", help="Which of several faces: 1 = the largest. Default: the largest.")
]
FaceLevel = Annotated[bool, typer.Option("--level", help="Turn the photo until the eyes are level.")]
Size = Annotated[int | None, typer.Option("--size", help="Picture side in pixels. Default: the model's, or 256.")]
Raw = Annotated[bool, typer.Option("--raw", help="Leave out the model's super-resolution.")]
Yaw = Annotated[
    float | None, typer.Option("--yaw", help="Camera yaw in degrees: 0 = front, growing to the object's left.")
]
Pitch = Annotated[
    float | None, typer.Option("--pitch", help="Camera pitch in degrees: 0 = level, positive = from above.")
]
Fov = Annotated[float | None, typer.Option("--fov", help="Vertical field of view in degrees.")]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="Render as the published code does (slower, no visible difference)."),
]
Supersample = Annotated[int, typer.Option("--supersample", min=1, max=4, help="Rays per pixel along each side.")]
Grid = Annotated[
    str | None,
    typer.Option("--grid", metavar="[4x3]", help="Samples together, about square, or in so many columns and rows."),
]
CamerasOut = Annotated[
    str | None,
    typer.Option(
        "--cameras-out", metavar="PROGRAM", help="nerfstudio or colmap: pictures in a folder, with their cameras."
    ),
]

DirectionFiles = Annotated[
    list[str] | None,
    typer.Option("--directions", metavar="FILE", help="File of directions beside the model's own; may be repeated."),
]

# Of `gen3d video`.
CameraPath = Annotated[
    str,
    typer.Option(
        "--path",
        autocompletion=complete_path,
        help="Camera path: orbit, wiggle, front-circle, line, spiral, a published script's (eg3d-circle, "
        "epigraf-front-circle, 3dgp-front-circle, and their points, line, wiggle; stylenerf-rotation-camera, "
        "stylenerf-rotation-camera3, volumegan-orbit, volumegan-front), or a camera file such as path.json.",
    ),
]
Seconds = Annotated[float | None, typer.Option("--seconds", help="Length in seconds. Default: 4, or the file's.")]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second. Default: 30, or the file's.")]
Show = Annotated[
    str,
    typer.Option(
        "--show",
        metavar="KINDS",
        help="Outputs: any of rgb,depth,normal. Depth: near is bright, far is dark. Normal: world x, y, z (right, up, "
        "to the front) as red, green, blue.",
    ),
]
Interpolate = Annotated[
    bool,
    typer.Option(
        "--interpolate",
        help="Interpolate: one video through all samples and back to the first; each frame is an object of its own.",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="With --interpolate: end at the last sample, without the way back.")]
Format = Annotated[str | None, typer.Option("--format", help="Format of videos in a folder: mp4, gif, webm or frames.")]
