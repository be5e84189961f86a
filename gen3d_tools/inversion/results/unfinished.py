"""An inversion that is not finished: its state on disk, beside where the result will be.

The state is a tree of dictionaries, lists, numbers, words and tensors. The tensors become a safetensors file, the
rest JSON in its header: nothing in it can be run.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from gen3d_tools.checkpoints.native import open_tensors, tensors_of
from gen3d_tools.errors import CheckpointError, Gen3DError, InputError, NotFoundError
from gen3d_tools.files import atomic_path, shorten
from gen3d_tools.inversion.progress import State
from gen3d_tools.staging import remove_leftovers
from gen3d_tools.wording import option

STATE_NAME = "state.safetensors"
MODEL_CONFIG = "model config"
"""Part of a job that states of earlier versions lack; these are resumed all the same."""
_MAX_NAME_BYTES = 180
_REST = 20.0  # writing may take this share of the time: 1 / 20


class Unfinished:
    """The hidden folder `.<name>.unfinished` beside a result.

    Args:
        target: Where the result will be.
        job: What the work is about; a state is only resumed for the same job. Plain JSON values.
    """

    def __init__(self, target: Path, job: Mapping[str, Any]) -> None:
        self.folder = target.with_name(_hidden_name(target.name))
        self.job = json.loads(json.dumps(job))
        self.problem = ""  # why the last state could not be written
        self._rest_until = 0.0

    @property
    def path(self) -> Path:
        """The file of the state."""
        return self.folder / STATE_NAME

    def write(self, state: State) -> None:
        """Keep a state; the one before stays until this one is whole, and if this one cannot be written.

        Large states are not written every time.

        Args:
            state: What `Inversion.state` gives; empty before there is anything worth keeping.
        """
        if state and time.monotonic() >= self._rest_until:
            self._write(state)

    def keep(self, state: State) -> str:
        """Keep a last state, and say so: how a message about an end before time goes on."""
        if state:
            self._write(state)
        if self.path.is_file():
            what = "an earlier state of the work" if self.problem else "the work so far"
            return f"; {what} is kept in {self.path}, repeat the command with {option('resume', True)} to go on"
        return (
            f", and the work could not be kept: {self.problem}"
            if self.problem
            else " before there was anything to keep"
        )

    def _write(self, state: State) -> None:
        begun = time.monotonic()
        try:
            with atomic_path(self.path, overwrite=True) as temporary:
                temporary.write_bytes(_pack(state, self.job))
        except Gen3DError as error:
            self.problem = str(error)
            return
        self.problem = ""
        self._rest_until = time.monotonic() + _REST * (time.monotonic() - begun)

    def read(self) -> State:
        """Give the state that was kept.

        Raises:
            NotFoundError: There is none.
            InputError: It belongs to other photos or options.
            CheckpointError: It is broken.
        """
        if not self.path.is_file():
            raise NotFoundError(f"there is nothing to resume: no {self.path}; leave {option('resume')} out")
        state, job = _unpack(self.path)
        parts = {*job, *self.job} - ({MODEL_CONFIG} if MODEL_CONFIG not in job else set())
        changed = sorted(key for key in parts if job.get(key) != self.job.get(key))
        if changed:
            raise InputError(
                f"{self.path} was begun with different {' and '.join(changed)}; "
                f"repeat that command, or omit {option('resume')}"
            )
        return state

    def remove(self) -> None:
        """Forget the state: the result is there. What else lies in the folder is not ours, and stays."""
        remove_leftovers(self.folder)  # of a write that was killed
        with contextlib.suppress(OSError):  # no state was kept, or the folder holds more
            self.path.unlink(missing_ok=True)
            self.folder.rmdir()


def _hidden_name(name: str) -> str:
    """Name the folder of a result's state; a long name is cut, and prediction from others by its digest."""
    short = shorten(name, _MAX_NAME_BYTES)
    if short != name:
        short = f"{short}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    return f".{short}.unfinished"


def _pack(state: State, job: Mapping[str, Any]) -> bytes:
    tensors: dict[str, Tensor] = {}
    tree = _encode(state, tensors)
    return save(tensors, metadata={"tree": json.dumps(tree), "job": json.dumps(job)})


def _unpack(path: Path) -> tuple[State, dict[str, Any]]:
    try:
        with open_tensors(path) as file:
            metadata = file.metadata() or {}
            tensors = tensors_of(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is broken; leave {option('resume')} out to start afresh") from error
    try:
        state = _decode(json.loads(metadata["tree"]), tensors)
        job = json.loads(metadata["job"])
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{path} is broken; leave {option('resume')} out to start afresh") from error
    if not isinstance(state, dict) or not isinstance(job, dict):
        raise CheckpointError(f"{path} is broken; leave {option('resume')} out to start afresh")
    return state, job


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Write a tree as JSON values; each node that JSON lacks becomes a list that begins with its kind."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return ["tensor", name]
    if isinstance(value, Mapping):
        return ["dict", [[_encode(key, tensors), _encode(one, tensors)] for key, one in value.items()]]
    if isinstance(value, list | tuple):
        return ["list" if isinstance(value, list) else "tuple", [_encode(one, tensors) for one in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"an inversion's state holds a {type(value).__name__}, which cannot be stored")


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_decode(key, tensors): _decode(one, tensors) for key, one in content}
    parts = [_decode(one, tensors) for one in content]
    return tuple(parts) if kind == "tuple" else parts
