"""Files about faces: the three networks of a detector as its wheel carries them, and five points of a face."""

import io
import json
import pickletools
import random
from collections import OrderedDict
from collections.abc import Callable

import torch

from gen3d_tools.checkpoints.pickles.legacy_file import read_tensor_table
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.photos.alignment.landmarks import POINTS, read_landmarks
from tests.fuzz.formats.checkpoints import STREAM
from tests.fuzz.harness import Files, Format, only
from tests.fuzz.mutators import ANY

SIZE = (200, 150)
FACE = [[60, 50], [100, 52], [80, 75], [64, 95], [98, 96]]
_PICKLES = 5  # magic number, version, byte order, table, keys; what follows them are numbers


def _tables() -> list[Files]:
    """Tables of tensors by `torch.save` before PyTorch 1.6; two tensors share a storage."""
    whole = torch.arange(12.0)
    kinds = {"a": whole.view(3, 4), "b": whole[2:6], "half": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    made = []
    for table in (kinds, OrderedDict(kinds)):
        buffer = io.BytesIO()
        torch.save(table, buffer, _use_new_zipfile_serialization=False)
        made.append({"pnet.pt": buffer.getvalue()})
    return made


def _within(mutate: Callable[[random.Random, bytes], bytes]) -> Callable[[random.Random, bytes], bytes]:
    """Spoil one of the pickles of such a file, and leave the others and the numbers as they are."""

    def spoil(chance: random.Random, data: bytes) -> bytes:
        stream, ends = io.BytesIO(data), [0]
        try:
            for _ in range(_PICKLES):
                for _ in pickletools.genops(stream):
                    pass
                ends.append(stream.tell())
        except (ValueError, IndexError, KeyError, OverflowError):  # spoilt before
            return mutate(chance, data)
        first = chance.choice((0, 1, 2, 3, 3, 3, 3, 4))
        begin, end = ends[first], ends[first + 1]
        return data[:begin] + mutate(chance, data[begin:end]) + data[end:]

    spoil.__name__ = mutate.__name__
    return spoil


def _points() -> list[Files]:
    whole = {"photo": "face.png", "size": SIZE, "points": dict(zip(POINTS, FACE, strict=True))}
    return [{"points.json": json.dumps(form).encode()} for form in (FACE, {"points": FACE}, whole)]


FORMATS = [
    Format(
        name="tensor-table",
        corpus=_tables,
        read=lambda folder: read_tensor_table(only(folder)),
        mutators={"": (*map(_within, STREAM), *ANY)},
        refusals=(CheckpointError,),
    ),
    Format(
        name="landmarks",
        corpus=_points,
        read=lambda folder: read_landmarks(str(only(folder)), size=SIZE, name="face.png"),
        refusals=(InputError,),
    ),
]
