"""The options of commands that spread their work, declared once."""

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes that share the work. Default: one for each device."),
]
