"""Every error gen3d_tools raises on purpose, drawn as a tree.

    Gen3DError                    exit 1   something failed; the message says what, why and what to try
    ├── InputError (ValueError)   exit 2   an argument cannot be used as given
    ├── NotFoundError             exit 3   a file, folder or model is not there
    ├── CheckpointError           exit 4   a checkpoint is refused or broken
    ├── MissingDependencyError    exit 5   an optional package or system library is missing
    ├── OutOfMemoryError          exit 6   even the smallest chunk does not fit
    ├── BatchError                exit 7   part of a batch failed, the rest is done
    ├── PlaceError                exit 1   a disk is full, or a place takes no files
    └── OutOfDistributionError    exit 8   a photo shows nothing that the model knows

Each message is one printable line of at most 2,000 characters: what was found, what was needed, what to try. The
command line prints that line and leaves with the exit code; a library user catches `Gen3DError`.
"""

import re

from gen3d_tools.printable import MESSAGE_LENGTH, printable

_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")


class Gen3DError(Exception):
    """Root of the tree: a fact about the world that stops the work."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(_LINE_BREAK.sub(" ", str(message)), MESSAGE_LENGTH))


class InputError(Gen3DError, ValueError):
    """An argument cannot be used as given."""

    exit_code = 2


class NotFoundError(Gen3DError):
    """A file, folder or model is not there."""

    exit_code = 3


class CheckpointError(Gen3DError):
    """A checkpoint is refused or broken; nothing of it was loaded."""

    exit_code = 4


class MissingDependencyError(Gen3DError):
    """An optional package or a system library is missing; the message names the install command."""

    exit_code = 5


class OutOfMemoryError(Gen3DError):
    """Even the smallest chunk does not fit into memory."""

    exit_code = 6


class BatchError(Gen3DError):
    """Part of a batch failed; what succeeded is on disk."""

    exit_code = 7


class PlaceError(Gen3DError):
    """A disk is full, or a place takes no files: whatever else is written there fails as well."""


class OutOfDistributionError(Gen3DError):
    """A photo shows nothing that the model knows; nothing was tried."""

    exit_code = 8


ENDS_BATCH = (PlaceError, MissingDependencyError)
"""What all others of a batch would meet as well: it ends the batch, and is not listed as a failure of one."""
