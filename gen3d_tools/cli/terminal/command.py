"""How commands read their arguments and show their usage."""

import re
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand

from gen3d_tools.cli.terminal.completion import TYPED

_SIZE = re.compile(r"[\d\s]+([xX×*,][\d\s]*)?")  # a slip such as 3 or 3x is a size too, and refused as one


class Command(TyperCommand):
    """A command whose usage names its arguments as manuals do: `MODEL`, `PHOTO...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed: where a value is completed, its option has none yet and nothing can be parsed."""
        ctx.meta[TYPED] = list(args)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Name the options and arguments."""
        return [
            re.sub(r"\{(\w+)[^}]*\}", lambda name: name[1].upper(), one) for one in super().collect_usage_pieces(ctx)
        ]


class GridCommand(Command):
    """A command with `--grid`, whose value may be left out: the grid is then about square."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `--grid` its value where none was typed."""
        end = args.index("--") if "--" in args else len(args)
        filled = [
            "--grid=auto" if one == "--grid" and not _SIZE.fullmatch(following) else one
            for one, following in pairwise([*args[:end], ""])
        ]
        return super().parse_args(ctx, [*filled, *args[end:]])
