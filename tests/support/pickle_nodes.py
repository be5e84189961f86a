"""The pieces of a test pickle: names and objects that do not exist here, and tensors in nested legacy streams."""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

STORAGE_NAMES = {
    torch.float32: "FloatStorage",
    torch.float64: "DoubleStorage",
    torch.float16: "HalfStorage",
    torch.bfloat16: "BFloat16Storage",
    torch.int64: "LongStorage",
    torch.int32: "IntStorage",
    torch.int16: "ShortStorage",
    torch.int8: "CharStorage",
    torch.uint8: "ByteStorage",
    torch.bool: "BoolStorage",
}


@dataclass(frozen=True, eq=False)
class Global:
    """A name the stream refers to. It need not exist here."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """`function(*arguments)` (REDUCE), then items (SETITEMS) and a state (BUILD) if there are any."""

    function: object
    arguments: tuple
    entries: Mapping = field(default_factory=dict)
    state: object = None


@dataclass(eq=False)
class Instance:
    """An object made without its constructor (NEWOBJ), then filled."""

    kind: Global
    entries: Mapping = field(default_factory=dict)
    state: object = None
    arguments: tuple = ()


@dataclass(eq=False)
class PersistentId:
    """An object named by a persistent id (BINPERSID)."""

    value: object


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a snapshot is laid out, beyond what it says."""

    protocol: int = 4
    location: str = "cpu"  # "cuda:0" as training processes write it
    channels_last: bool = False  # strides of the weights with four axes
    only_ema: bool = False  # stripped file: G_ema alone
    dill: bool = False  # saved again with dill
    imported_module: bool = False  # saved again by a network that was itself rebuilt from a pickle
    config_as: str = "omegaconf"  # "omegaconf" | "easydict" | "dict"
    omit_non_persistent_set: bool = False  # as very old torch did


class OfficialPickler(pickle._Pickler):
    """The standard pickler, plus names that do not exist here and tensors in nested legacy streams."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def __init__(self, file, layout: Layout) -> None:
        super().__init__(file, layout.protocol)
        self.layout = layout
        self.nodes: dict[int, tuple[object, Call]] = {}  # by id of what they stand for, which is kept alive with them

    def persistent_id(self, value):
        return value.value if isinstance(value, PersistentId) else None

    def save_name(self, node: Global) -> None:
        if self.proto >= 4:
            self.save(node.module)
            self.save(node.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{node.module}\n{node.name}\n".encode())
        self.memoize(node)

    def save_call(self, node: Call) -> None:
        self.save(node.function)
        self.save(node.arguments)
        self.write(pickle.REDUCE)
        self.finish(node)

    def save_instance(self, node: Instance) -> None:
        self.save(node.kind)
        self.save(node.arguments)
        self.write(pickle.NEWOBJ)
        self.finish(node)

    def finish(self, node: Call | Instance) -> None:
        self.memoize(node)
        if node.entries:
            self._batch_setitems(node.entries.items())
        if node.state is not None:
            self.save(node.state)
            self.write(pickle.BUILD)

    def save_tensor(self, tensor: Tensor) -> None:
        if id(tensor) not in self.nodes:
            self.nodes[id(tensor)] = tensor, tensor_node(tensor, self.layout)
        self.save(self.nodes[id(tensor)][1])

    def save_type(self, kind: type) -> None:
        if not self.layout.dill or kind.__module__ != "builtins":
            return self.save_global(kind)
        if id(kind) not in self.nodes:
            self.nodes[id(kind)] = kind, Call(Global("dill._dill", "_load_type"), (kind.__name__,))
        return self.save(self.nodes[id(kind)][1])

    dispatch[Global] = save_name
    dispatch[Call] = save_call
    dispatch[Instance] = save_instance
    dispatch[Tensor] = save_tensor
    dispatch[torch.nn.Parameter] = save_tensor
    dispatch[type] = save_type


def dumps(node: object, layout: Layout | None = None) -> bytes:
    """Pickle a tree of plain values, tensors and the node types above."""
    file = io.BytesIO()
    OfficialPickler(file, layout or Layout()).dump(node)
    return file.getvalue()


def tensor_node(tensor: Tensor, layout: Layout) -> Call:
    """Lay out one tensor: a parameter around a view of a storage, which is a nested stream."""
    values = tensor.detach()
    if layout.channels_last and values.ndim == 4:
        values = values.contiguous(memory_format=torch.channels_last)
    flat = torch.as_strided(values, (values.untyped_storage().nbytes() // values.itemsize,), (1,), 0)
    storage = Call(Global("torch.storage", "_load_from_bytes"), (storage_blob(flat, layout.location),))
    view = (storage, values.storage_offset(), tuple(values.shape), values.stride(), False, OrderedDict())
    node = Call(Global("torch._utils", "_rebuild_tensor_v2"), view)
    if isinstance(tensor, torch.nn.Parameter):
        return Call(Global("torch._utils", "_rebuild_parameter"), (node, False, OrderedDict()))
    return node


def storage_blob(flat: Tensor, location: str = "cpu", *, count: int | None = None) -> bytes:
    """Write a legacy torch stream that holds one bare storage.

    Args:
        flat: The elements.
        location: Device the storage claims to come from.
        count: Number of elements to declare; None tells the truth.
    """
    count = flat.numel() if count is None else count
    inner = Layout(protocol=2)
    key = "94120453120"
    pid = PersistentId(("storage", Global("torch", STORAGE_NAMES[flat.dtype]), key, location, count, None))
    sizes = {"short": 2, "int": 4, "long": 4}
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}]
    header = b"".join(dumps(part, inner) for part in [*parts, pid, [key]])
    return header + struct.pack("<q", count) + flat.contiguous().view(torch.uint8).numpy().tobytes()
