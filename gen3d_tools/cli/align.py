"""`gen3d align`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.running import run_workflow
from gen3d_tools.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("align", cls=Command)(align)


def align(
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO...", help="Photos of faces or objects, or folders of them.", show_default=False),
    ],
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            help="What the crops are for: eg3d-ffhq or panohead (face and label), square (face alone), or object "
            "(for gen3d train: on white, in the middle of a square; folders become classes).",
        ),
    ] = "eg3d-ffhq",
    landmarks: options.FaceLandmarks = None,
    face: options.FaceNumber = None,
    level: options.FaceLevel = False,
    size: Annotated[
        int | None,
        typer.Option("--size", help="With object: pixels along a side.", show_default="128"),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option("--background", help="With object: how it is told from what is behind, as in gen3d invert."),
    ] = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Cut faces out of photos as face generators expect them, or objects as generators of objects learn from them.

    Examples: `gen3d align photo.jpg -o face/` and `gen3d align photos/ --preset object -o objects/`
    """
    about = {"out": out, "overwrite": overwrite, "dry_run": dry_run}
    faces = {"landmarks": landmarks, "face": face, "level": level}
    objects = {"size": size, "background": background}

    def work(reporter: Any) -> Any:
        if preset.strip().lower() == "object":
            return _objects(photos, objects, faces, reporter=reporter, **about)
        return _faces(photos, preset, objects, faces, reporter=reporter, **about)

    run_workflow(work, as_json=json, quiet=quiet, verbose=verbose)


def _objects(photos: list[Path], told: dict[str, Any], of_faces: dict[str, Any], **about: Any) -> Any:
    from gen3d_tools.workflows.cut_objects import ObjectOptions, cut_objects

    _refuse(of_faces, "is about faces; leave it out with --preset object")
    given = {name: value for name, value in told.items() if value is not None}
    return cut_objects(photos, options=ObjectOptions(**given), **about)


def _faces(photos: list[Path], preset: str, of_objects: dict[str, Any], told: dict[str, Any], **about: Any) -> Any:
    from gen3d_tools.workflows.align import FaceOptions, align

    _refuse(of_objects, "is about objects; add --preset object, or leave it out")
    return align(photos, preset=preset, options=FaceOptions(**told), **about)


def _refuse(told: dict[str, Any], why: str) -> None:
    for name, value in told.items():
        if value not in (None, False):
            raise InputError(f"--{name} {why}")
