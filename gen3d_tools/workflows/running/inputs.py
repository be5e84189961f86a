"""The files that a run reads: a record knows them by what is in them, and no output replaces them.

A name alone says nothing of what is in a file; and with --overwrite a model would be gone before it was read whole.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from gen3d_tools.cameras.colmap import is_colmap, model_files
from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.source import base_source, find_source
from gen3d_tools.ownership import is_part_of_model
from gen3d_tools.records import Proof
from gen3d_tools.wording import choose


def input_digest(named: str | Path | None) -> str | None:
    """Compute the SHA-256 of what an option names.

    Args:
        named: A file, a folder of a COLMAP text model or one of its files, or a word that names no file.

    Returns:
        Of a COLMAP model, one digest of the files that are read; None where nothing is named that can be read.
    """
    if named is None:
        return None
    path = Path(named)
    if not (path.is_dir() or is_colmap(path)):
        return Proof.of(path).sha256 if path.is_file() else None
    digests = [Proof.of(file).sha256 for file in model_files(path) if file.is_file()]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if digests else None


def check_not_read(outputs: Sequence[Path], reads: Sequence[str | Path], model: str = "") -> None:
    """Refuse outputs that are, or are folders that hold, what the run reads.

    Args:
        outputs: Files and folders that the run will write.
        reads: Files and folders that it reads; those of a folder that is a model are what counts of it.
        model: Read, too, with the model that it was tuned from.

    Raises:
        InputError: There is one.
    """
    outputs = [one for one in outputs if os.path.lexists(one)]
    if not outputs:
        return
    read = {Path(os.path.realpath(one)) for place in [*reads, *_model_places(model)] for one in _files(Path(place))}
    for output in outputs:
        place = Path(os.path.realpath(output))
        if held := sorted(one.name for one in read if place == one or place in one.parents):
            holds = "is" if place in read else f"holds {held[0]}, which is"
            by_option = choose(typed=" with -o", python="")
            raise InputError(f"{output} {holds} what this run reads, so it stays; give another name{by_option}")


def _model_places(model: str) -> list[Path]:
    """The folder or file of a model on this machine, and of the one that it was tuned from; none of what is neither."""
    if not model or not (Path(model).exists() or model in bundled_models()):
        return []
    try:
        source = find_source(model)
    except Gen3DError:
        return []  # pictures, or a mesh: whoever reads them says so
    try:
        return list(dict.fromkeys([source.path, base_source(source, None).path]))
    except Gen3DError:
        return [source.path]  # its base is elsewhere, or named by an option


def _files(place: Path) -> list[Path]:
    """A file itself, if there is one; of a folder, the files that make it a model."""
    if not place.is_dir():
        return [place] if place.is_file() else []
    return [one for one in place.iterdir() if is_part_of_model(one.name)]
