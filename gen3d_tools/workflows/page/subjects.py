"""What a page is about: models, results, mesh files, pictures and films, told apart and checked before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.generators.source import find_source
from gen3d_tools.media.page import MEDIA_TYPES

Kind = Literal["model", "result", "mesh", "media"]
MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
MAX_SUBJECTS = 64
MAX_FILE_BYTES = 2**28
"""Of one mesh, picture or film."""
MAX_MEDIA_BYTES = 2**27
"""Of all pictures and films together: they are embedded as they are, a third larger."""


@dataclass(frozen=True)
class Subject:
    """One thing to show, as typed."""

    name: str
    kind: Kind

    @property
    def title(self) -> str:
        """A heading: the name without the way to it."""
        return Path(self.name).name or self.name


def parse_subjects(names: Sequence[str]) -> list[Subject]:
    """Tell what each name is.

    Raises:
        InputError: There are none or too many, or a file is too large or of another kind.
        NotFoundError: Something is not there.
        CheckpointError: A model's config cannot be read.
    """
    if not names:
        raise InputError("there is nothing to show; name a model, a result, a mesh, a picture or a film")
    if len(names) > MAX_SUBJECTS:
        raise InputError(f"a page shows at most {MAX_SUBJECTS} things, got {len(names)}; make several pages")
    subjects = [_subject(name) for name in names]
    total = sum(Path(one.name).stat().st_size for one in subjects if one.kind == "media")
    if total > MAX_MEDIA_BYTES:
        raise InputError(
            f"the pictures and films have {total / 1e6:.0f} MB together, a page takes {MAX_MEDIA_BYTES / 1e6:.0f} at "
            "most; give fewer, or smaller ones"
        )
    return subjects


def _subject(name: str) -> Subject:
    path, suffix = Path(name), Path(name).suffix.lower()
    kind: Kind | None = "mesh" if suffix in MESH_SUFFIXES else "media" if suffix in MEDIA_TYPES else None
    if kind is None or path.is_dir():
        source = find_source(name)
        return Subject(name, "result" if source.kind == "result" else "model")
    if not path.is_file():
        raise NotFoundError(f"there is no file {name}; check the name")
    if path.stat().st_size > MAX_FILE_BYTES:
        found = f"{path.stat().st_size / 1e6:.0f} MB"
        raise InputError(f"{name} has {found}, a page takes {MAX_FILE_BYTES / 1e6:.0f} at most; make it smaller first")
    return Subject(name, kind)
