"""Values that the shell completes, after `gen3d --install-completion`. Nothing here waits for torch."""

from itertools import pairwise
from pathlib import Path
from typing import Any

TYPED = "gen3d_tools.typed"
"""Where the context of a command keeps its arguments."""

BUNDLED = "shapes"
PATHS = (
    "orbit", "wiggle", "front-circle", "line", "spiral", "eg3d-circle",
    "epigraf-front-circle", "epigraf-points", "epigraf-line", "epigraf-wiggle",
    "3dgp-front-circle", "3dgp-points", "3dgp-line", "3dgp-wiggle",
    "stylenerf-rotation-camera", "stylenerf-rotation-camera3", "volumegan-orbit", "volumegan-front",
)  # fmt: skip
"""Names of `cameras.paths.PATHS`."""

PRESETS = ("fast", "balanced", "best")
"""Names of `inversion.presets.PRESETS`."""


def complete_model(incomplete: str) -> list[str]:
    """Bundled models, and the folders and pickles that begin so."""
    from gen3d_tools.checkpoints.bundled import bundled_models

    names = [name for name in bundled_models() if name.startswith(incomplete)]
    return names + _entries(incomplete, (".pkl",))


def complete_class(ctx: Any, incomplete: str) -> list[str]:
    """Classes of the model that is typed before, after the last comma."""
    from gen3d_tools.workflows.describe import classes_record

    typed: list[str] = ctx.meta.get(TYPED, [])
    try:
        rows = classes_record(_model_of(ctx.info_name, typed), _value_of(typed, "--base"))["classes"]
    except Exception:  # whatever is wrong with the model, the command will say; a shell asks for words only
        return []
    done, comma, begun = incomplete.rpartition(",")
    names = [*(str(row["name"]) for row in rows), "all"]
    return [f"{done}{comma}{name}" for name in names if name.lower().startswith(begun.lower())]


def complete_direction(ctx: Any, incomplete: str) -> list[str]:
    """Names of the directions of the model that is typed before, ready for an amount."""
    from gen3d_tools.workflows.editing.listing import directions_record

    typed: list[str] = ctx.meta.get(TYPED, [])
    try:
        rows = directions_record(_model_of(ctx.info_name, typed), base=_value_of(typed, "--base"))["directions"]
    except Exception:  # whatever is wrong with the model, the command will say; a shell asks for words only
        return []
    names = dict.fromkeys(row["name"] for row in rows)
    return [f"{name}=" for name in names if name.startswith(incomplete)]


def _model_of(command: str | None, typed: list[str]) -> str:
    """Give the model: the value of `--model`, which `gen3d invert` has, else the first word."""
    named = _value_of(typed, "--model") or _value_of(typed, "-m")
    first = BUNDLED if command == "invert" else next((word for word in typed if not word.startswith("-")), BUNDLED)
    return named or first


def _value_of(typed: list[str], option: str) -> str | None:
    """Give what follows an option; None if it was not typed."""
    return next((value for one, value in pairwise(typed) if one == option), None)


def complete_path(incomplete: str) -> list[str]:
    """Names of camera paths, and camera files."""
    return [name for name in PATHS if name.startswith(incomplete)] + _entries(incomplete, (".json",))


def complete_preset(incomplete: str) -> list[str]:
    """Presets of an inversion."""
    return [name for name in PRESETS if name.startswith(incomplete)]


def _entries(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Folders, and files of some kinds, whose path begins with what is typed."""
    folder, begun = Path(incomplete or ".").parent, incomplete.rpartition("/")[2]
    folder = Path(incomplete) if incomplete.endswith("/") else folder
    if not folder.is_dir():
        return []
    prefix = incomplete[: len(incomplete) - len(begun)]
    found = sorted(path for path in folder.iterdir() if path.name.startswith(begun) and path.name[0] != ".")
    return [
        f"{prefix}{path.name}{'/' if path.is_dir() else ''}"
        for path in found
        if path.is_dir() or path.suffix.lower() in suffixes
    ]
