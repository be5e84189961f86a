"""`gen3d directions`: the directions that a model has, from the headers of their files; without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gen3d_tools.checkpoints.directions import DIRECTIONS_NAME, read_header
from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.source import base_source, find_source, model_config


def directions_record(model: str, *, files: Sequence[str] = (), base: str | None = None) -> dict[str, Any]:
    """Give the directions that a model has as plain JSON values; weights are not read, and torch is not needed.

    Args:
        model: Whatever `load_generator` takes.
        files: Files of directions beside the model's own.
        base: See `load_generator`.

    Raises:
        Gen3DError: There is no such model or file, or a file is broken or of another model.
    """
    source = base_source(find_source(model), base)
    names = model_config(source).settings.class_names
    own = [source.path / DIRECTIONS_NAME] if (source.path / DIRECTIONS_NAME).is_file() else []
    digest, rows = source.digest(), []
    for path in [*own, *map(Path, files)]:
        header = read_header(path)
        if header.model_sha256 != digest:
            raise CheckpointError(
                f"{path} holds directions of another model (its sha256 begins with {header.model_sha256[:12]}, this is "
                f"{digest[:12]}); find them for this one with gen3d directions"
            )
        for entry in header.entries:
            if entry.class_index is not None and entry.class_index >= len(names):
                raise CheckpointError(f"{path} holds directions of classes that the model lacks; the file is damaged")
            label = None if entry.class_index is None else names[entry.class_index]
            rows.append(vars(entry) | {"layers": list(entry.layers), "class": label, "file": str(path)})
    return {"model": model, "directions": rows}
