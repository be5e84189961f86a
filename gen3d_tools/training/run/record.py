"""The log of a run: one JSON object per line and tick, so that any program can plot it."""

import json
import math
from pathlib import Path
from typing import Any

from gen3d_tools.files import atomic_path

LOG_NAME = "log.jsonl"
PARTIAL = "partial"
"""True in the last line of a session that ended between two ticks; a run that goes on forgets the line."""


class Log:
    """Lines of a run.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME
        self.lines: list[dict[str, Any]] = []

    def go_on(self, iteration: int) -> None:
        """Read what is there, and forget what came after a snapshot; a line cut short by a crash is dropped."""
        if self.path.is_file():
            for text in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict) and line.get("iteration", 0) <= iteration and not line.get(PARTIAL):
                    self.lines.append(line)
        with atomic_path(self.path, overwrite=True) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines), encoding="utf-8")

    def add(self, line: dict[str, Any]) -> None:
        """Write one line; numbers that JSON lacks are null."""
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in line.items()}
        self.lines.append(clean)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(clean)}\n")

    def series(self, key: str) -> list[tuple[float, float]]:
        """Thousands of pictures and value of every line that has it."""
        return [(line["kimg"], line[key]) for line in self.lines if isinstance(line.get(key), int | float)]
