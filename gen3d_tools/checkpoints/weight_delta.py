"""What tuning changed in a model's tensors, in a quarter of their size or less.

Each row of a tensor (its first axis; the whole of a vector) is divided by a scale of its own and rounded to whole
levels -n..n; the levels of all tensors are deflated as one stream of bytes. Few levels need fewer bits: the changes
that gradient steps make are mostly small, and Huffman coding gives the frequent levels the short codes.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor

from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import quoted

MAX_LEVELS = 127


@dataclass(frozen=True, eq=False)
class Difference:
    """Tuned tensors minus those of the base model, compressed."""

    names: tuple[str, ...]
    """The tensors that differ, in the order in which their levels and scales are stored."""

    levels: UInt8[Tensor, " bytes"]
    """Deflated signed bytes, one per number."""

    scales: Float[Tensor, " rows"]
    """What one level is worth, one per row of every tensor."""

    @property
    def size_bytes(self) -> int:
        """Bytes it takes on disk."""
        return len(self.levels) + 4 * len(self.scales)


def encode_difference(
    base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], *, levels: int = MAX_LEVELS
) -> Difference:
    """Compress `tuned - base`.

    Args:
        base: State dict of the model as trained.
        tuned: State dict after tuning, of the same names and shapes.
        levels: Largest level, 1 to 127. An entry is off by at most half a row's largest change divided by it.

    Raises:
        ValueError: `levels` is out of range.
        CheckpointError: Names or shapes differ, or a change is not finite.
    """
    if not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels is {levels}; it must lie in 1..{MAX_LEVELS}")
    if base.keys() != tuned.keys():
        raise CheckpointError("the tuned model has other tensors than its base model; both must be of one kind")
    names, streams, scales = [], [], []
    packer = zlib.compressobj(level=6, strategy=zlib.Z_HUFFMAN_ONLY)
    for name, before in base.items():
        change = tuned[name].detach().cpu().float() - before.detach().cpu().float()
        if not change.any():
            continue
        if not torch.isfinite(change).all():
            raise CheckpointError(f"the tuned tensor {name} holds NaN or infinity, so it cannot be stored")
        rows = change.reshape(_rows(change), -1)
        scale = rows.abs().amax(dim=1) / levels
        steps = torch.where(scale[:, None] > 0, rows / scale[:, None], 0.0).round().to(torch.int8)
        streams.append(packer.compress(steps.numpy().tobytes()))
        names.append(name)
        scales.append(scale)
    streams.append(packer.flush())
    data = np.frombuffer(b"".join(streams), np.uint8).copy()
    return Difference(tuple(names), torch.from_numpy(data), torch.cat(scales) if scales else torch.zeros(0))


def no_difference() -> Difference:
    """Give the difference of a model that nobody has tuned."""
    return encode_difference({}, {})


@torch.no_grad()
def add_difference(tensors: Mapping[str, Tensor], difference: Difference, where: str) -> None:
    """Add a difference to the tensors of its base model, in place.

    Args:
        tensors: State dict of the base model, floating point.
        difference: What `encode_difference` gave, or a file holds: every size is checked before it is believed.
        where: Names the file in errors.

    Raises:
        CheckpointError: A tensor is unknown, or the stored numbers are not as many as the tensors have.
    """
    unknown = [name for name in difference.names if name not in tensors or not tensors[name].is_floating_point()]
    if unknown or len(set(difference.names)) != len(difference.names):
        what = f"tensor {quoted(unknown[0])} is unknown" if unknown else "a tensor is named twice"
        raise CheckpointError(f"{where} does not fit its base model: {what}")
    rows = sum(_rows(tensors[name]) for name in difference.names)
    if len(difference.scales) != rows or not torch.isfinite(difference.scales).all():
        found = f"{len(difference.scales)} scales"
        raise CheckpointError(f"{where} does not fit its base model: it holds {found}, {rows} finite ones are needed")
    changed = [tensors[name] for name in difference.names]
    numbers = _unpack(difference.levels, sum(tensor.numel() for tensor in changed), where)
    steps = torch.split(numbers, [tensor.numel() for tensor in changed])
    scales = torch.split(difference.scales, [_rows(tensor) for tensor in changed])
    for tensor, step, scale in zip(changed, steps, scales, strict=True):
        change = step.reshape(len(scale), -1).float() * scale[:, None]
        tensor.add_(change.reshape(tensor.shape).to(tensor.device, tensor.dtype))


def _rows(tensor: Tensor) -> int:
    """Number of scales of a tensor: one per entry of its first axis, or one for a vector or a scalar."""
    return tensor.shape[0] if tensor.ndim >= 2 else 1


def _unpack(packed: UInt8[Tensor, " bytes"], count: int, where: str) -> Int8[Tensor, " count"]:
    """Unpack exactly `count` levels; memory is theirs and no more, whatever the stream says."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed.numpy().tobytes(), count + 1)
    except zlib.error as error:
        raise CheckpointError(f"{where} is corrupt ({error}); copy it again") from error
    if len(data) != count or (count and not unpacker.eof):
        found = f"more than {count}" if len(data) > count else f"{len(data)} of {count}"
        raise CheckpointError(f"{where} is corrupt: it holds {found} numbers of its tensors; copy it again")
    return torch.from_numpy(np.frombuffer(data, np.int8).copy())
