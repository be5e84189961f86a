"""Files that git-lfs keeps elsewhere: without it a clone holds three lines of text in their place."""

from pathlib import Path

from gen3d_tools.errors import CheckpointError

_BEGINNING = b"version https://git-lfs.github.com/spec/"


def check_no_pointer(path: Path) -> None:
    """Refuse what stands for a file of weights in a clone without git-lfs.

    Raises:
        CheckpointError: The message names the command that fetches the file itself.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_BEGINNING))
    except OSError:
        return  # whoever reads it says what is wrong
    if start == _BEGINNING:
        raise CheckpointError(
            f"{path} is a git-lfs pointer, not the file itself; run `git lfs pull` in its repository, or download it"
        )
