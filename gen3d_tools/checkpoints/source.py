"""A checkpoint as it lies on disk: what kind it is, where, and what its config says; opened once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gen3d_tools.checkpoints.native import CONFIG_NAME, TENSORS_NAME, read_json
from gen3d_tools.checkpoints.published_folder import WEIGHTS_NAME, PublishedFolder, is_published_folder

Kind = Literal["model", "result", "pickle", "published"]
"""A model folder, the result folder of an inversion, or a published checkpoint: a pickle (or torch's archive of one),
or a folder of a YAML config and a state dict."""

RESULT_FORMAT = "gen3d-tools result"
DIFFERENCE_NAME = "difference.safetensors"
PICKLE_SUFFIXES = (".pkl", ".pickle", ".pth")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a generator comes from."""

    name: str
    """By what it is found from everywhere: a bundled name, an absolute path, or a repository id."""
    kind: Kind
    path: Path
    """The folder, or the pickle."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The table in its `config.json`, not checked beyond its format; empty for a published checkpoint."""

    @property
    def tensors(self) -> Path:
        """The file that holds its numbers; of a result, what tuning changed."""
        if self.kind == "pickle":
            return self.path
        if self.kind == "published":
            return self.path / WEIGHTS_NAME
        return self.path / (DIFFERENCE_NAME if self.kind == "result" else TENSORS_NAME)

    def digest(self) -> str:
        """Compute the SHA-256 of its numbers; of a result, of what tuning changed alone."""
        with self.tensors.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def config_digest(self) -> str | None:
        """Compute the SHA-256 of what its config says, however it is written; None for a pickle, which has no config.

        Where a model comes from is left out: no picture depends on it.
        """
        if self.kind == "pickle":
            return None
        table = PublishedFolder(self.path).config if self.kind == "published" else self.config
        told = {key: value for key, value in table.items() if key != "provenance"}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def size_bytes(self) -> int:
        """Add up its files."""
        files = [self.path] if self.kind == "pickle" else [file for file in self.path.iterdir() if file.is_file()]
        return sum(file.stat().st_size for file in files)


def open_source(path: Path, name: str) -> Source:
    """Say what a folder or a pickle is.

    Args:
        path: The folder or the pickle.
        name: By what it is found.

    Raises:
        NotFoundError: The folder has no config.
        CheckpointError: Its config is not JSON, or one of the two files of a published folder is missing.
    """
    if path.is_file():
        return Source(name=name, kind="pickle", path=path)
    if is_published_folder(path):
        return Source(name=name, kind="published", path=PublishedFolder(path).path)
    config = read_json(path / CONFIG_NAME)
    return Source(
        name=name, kind="result" if config.get("format") == RESULT_FORMAT else "model", path=path, config=config
    )


def is_pickle(path: Path) -> bool:
    """Tell whether a path names a published checkpoint (by its suffix) that exists."""
    return path.suffix.lower() in PICKLE_SUFFIXES and path.is_file()
