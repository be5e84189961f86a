"""Model folders that are changed by hand."""

import json
from collections.abc import Callable
from pathlib import Path


def edit_config(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the config of a model in place."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
