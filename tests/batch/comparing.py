"""What two runs made, to be compared."""

import json
from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the record."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def record(folder: Path) -> dict:
    """What the record says, but for times, places, and details, which a run has of what it makes itself."""
    found = json.loads((folder / "run.json").read_text())
    found["outputs"] = [Path(name).name for name in found["outputs"]]
    return {key: value for key, value in found.items() if key not in ("seconds", "finished", "details")}


def times_begun(folder: Path) -> dict[str, int]:
    """How often each piece was begun."""
    return {path.name: len(path.read_text().splitlines()) for path in Path(f"{folder}-diary").iterdir()}
