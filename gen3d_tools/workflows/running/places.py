"""Where outputs go: what is typed after -o, and folders that nothing has taken."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from gen3d_tools.batch.store import is_almost_url, is_url
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import check_writable, shorten

OUTPUT_ROOT = Path("gen3d-out")
_MAX_FOLDER_BYTES = 100


def model_name(source: str) -> str:
    """Give a short name for outputs: the last part of a path or repository id."""
    return re.sub(r"[^\w.-]+", "-", Path(source).resolve().name if Path(source).exists() else source.split("/")[-1])


def output_path(out: str | Path | None) -> Path | None:
    """Read where outputs are to go.

    Raises:
        InputError: It is empty, a URL or nearly one, or the sign for stdout.
    """
    if out is not None and not str(out).strip():
        raise InputError("-o is empty; give a file or folder, or leave it out for a new folder in gen3d-out")
    if is_url(out):
        raise InputError(f"{str(out)[:80]} is a URL, and this command writes to files and folders; name one of those")
    if is_almost_url(out):
        raise InputError(
            f"{str(out)[:80]} is neither a URL nor a likely folder; write s3://bucket/folder, or ./{str(out)[:80]}"
        )
    if out == "-":
        raise InputError(
            "-o - would be stdout, and outputs are files and folders; name one (or ./- if it is called so)"
        )
    return None if out is None else Path(out)


def output_folder(
    command: str, model: str, parts: Sequence[str] = (), *, resume: bool = False, taken: Collection[Path] = ()
) -> Path:
    """Choose a folder `gen3d-out/<command>-<model>-<parts>`: a new one, numbered when taken; to resume, the last one.

    Args:
        command: Which makes it.
        model: As typed.
        parts: What else the name says; empty ones are left out.
        resume: Give the last one that is there.
        taken: Folders that are not there yet, and spoken for.

    Raises:
        NotFoundError: There is nothing to resume.
    """
    name = "-".join([command, model_name(model), *(part for part in parts if part)])
    return free_folder(name, resume=resume, taken=taken)


def free_folder(name: str, *, resume: bool = False, taken: Collection[Path] = ()) -> Path:
    """Choose a folder in `gen3d-out`: one that does not exist yet, numbered when the name is taken; or the last taken.

    Raises:
        NotFoundError: There is nothing to resume.
    """
    name = shorten(re.sub(r"[^\w.,-]+", "-", name), _MAX_FOLDER_BYTES)
    candidate, number, last = OUTPUT_ROOT / name, 1, None
    while candidate.exists() or candidate in taken:
        number, last = number + 1, candidate
        candidate = OUTPUT_ROOT / f"{name}-{number}"
    if resume and last is None:
        raise NotFoundError(f"there is nothing to resume: no {candidate}; leave --resume out")
    candidate = last if resume and last is not None else candidate
    if not candidate.exists():
        check_writable(candidate)
    return candidate
