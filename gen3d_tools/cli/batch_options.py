"""The options of commands that spread their work, declared once."""

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes that share the work. Default: one for each device."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Spread the work over a Ray cluster: its host:port, auto, or local.",
    ),
]
Shards = Annotated[
    int | None,
    typer.Option("--shards", metavar="SAMPLES", help="Tar files of so many samples for WebDataset, and an index."),
]
