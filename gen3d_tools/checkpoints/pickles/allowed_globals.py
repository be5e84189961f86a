"""Every global that published checkpoints refer to, and the inert value that each stands for.

Anything else is refused by its name, or kept as a placeholder where the caller allows it.
"""

import re
import struct
from collections.abc import Callable
from typing import Any

from gen3d_tools.checkpoints.pickles.records import Blob, Name, Record, StorageRecord, TensorRecord
from gen3d_tools.checkpoints.pickles.unpickling import Budget
from gen3d_tools.errors import CheckpointError
from gen3d_tools.wording import option

_MAX_AXES = 8
_MAX_COUNT = 1 << 40
_MAX_SET = 100
_MAX_UNKNOWN = 1000  # that are remembered, to be named

Builder = Callable[[tuple[Any, ...]], Any]


def _persistent(arguments: tuple[Any, ...]) -> Record:
    """A network of the original repositories. Its source text is not even decoded."""
    [meta] = arguments
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise CheckpointError("a persistent object is not described by a table of the known kind")
    class_name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(class_name, str) or not isinstance(state, dict):
        raise CheckpointError("a persistent object lacks its class name or its state")
    return Record(class_name, state=state)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise CheckpointError("a tensor has a size, stride or offset that is no sensible number")
    return value


def _tensor(arguments: tuple[Any, ...]) -> TensorRecord:
    storage, offset, size, stride, *_ = arguments
    shaped = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MAX_AXES
    if not isinstance(storage, StorageRecord) or not shaped:
        raise CheckpointError("a tensor is not described by a storage, an offset, sizes and strides")
    return TensorRecord(storage, _count(offset), tuple(map(_count, size)), tuple(map(_count, stride)))


def _parameter(arguments: tuple[Any, ...]) -> TensorRecord:
    tensor = arguments[0]
    if not isinstance(tensor, TensorRecord):
        raise CheckpointError("a parameter holds no tensor")
    return tensor


def _retyped(arguments: tuple[Any, ...]) -> Any:
    function, _, inner, *_ = arguments
    rebuild = {"_rebuild_tensor": _tensor, "_rebuild_tensor_v2": _tensor, "_rebuild_parameter": _parameter}
    if not isinstance(function, Name) or function.name not in rebuild or not isinstance(inner, tuple):
        raise CheckpointError("a tensor is rebuilt by a function that is not known")
    return rebuild[function.name](inner)


def _storage(arguments: tuple[Any, ...]) -> StorageRecord:
    [blob] = arguments
    if not isinstance(blob, bytes | Blob) or (isinstance(blob, Blob) and blob.text and not blob.latin1):
        raise CheckpointError("a storage holds no bytes")
    return StorageRecord(blob)


def _encoded(arguments: tuple[Any, ...]) -> bytes | Blob:
    """Bytes under protocol 2: a text, to be encoded."""
    text, encoding = arguments
    if encoding not in ("latin1", "latin-1"):
        raise CheckpointError("bytes are written in an encoding other than latin1")
    if isinstance(text, Blob) and text.text:
        return Blob(text.start, text.end, text=True, latin1=True)
    if not isinstance(text, str):
        raise CheckpointError("bytes are encoded from something that is no text")
    return text.encode("latin1")  # short: longer texts are blobs


def _empty_bytes(arguments: tuple[Any, ...]) -> bytes:
    """No bytes, as protocol 2 writes them."""
    if arguments:
        raise CheckpointError("bytes are made from arguments, which no known writer does")
    return b""


def _number(arguments: tuple[Any, ...]) -> Any:
    """A numpy scalar; only plain numbers are decoded."""
    kind, raw = arguments
    code = kind.arguments[0] if isinstance(kind, Record) and kind.arguments else None
    formats = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}
    if not isinstance(code, str) or code not in formats or not isinstance(raw, bytes):
        return Record("numpy.scalar", arguments)
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "<"
    return struct.unpack((">" if order == ">" else "<") + formats[code], raw)[0]


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    [values] = arguments
    if not isinstance(values, tuple):
        raise CheckpointError("a size is made from something that is no tuple")
    return values


def _pairs(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """An empty dict of some kind; torch and Python of this century write the items separately."""
    if arguments and arguments[0] not in ((), []) and not isinstance(arguments[0], Name | Record | None):
        raise CheckpointError("a dict is made from arguments, which no known writer does")
    return {}


def _set(arguments: tuple[Any, ...]) -> set[Any]:
    values = arguments[0] if arguments else []
    fits = isinstance(values, list) and len(values) <= _MAX_SET and all(isinstance(value, str) for value in values)
    if not fits:
        raise CheckpointError("a set is made from something other than a few texts")
    return set(values)


def _dill_type(arguments: tuple[Any, ...]) -> Name | Record:
    """A builtin type as dill writes it ("set" or "SetType"); those that make values are told apart."""
    [name] = arguments
    known = name.removesuffix("Type").lower() if isinstance(name, str) else ""
    return Name("builtins", known) if known in ("bytes", "dict", "set") else Record("dill.type", arguments)


def _bare(arguments: tuple[Any, ...]) -> Any:
    """An object made as protocols 0 and 1 do: class, base class, value of the base class."""
    kind = arguments[0]
    if not isinstance(kind, Name):
        raise CheckpointError("an object is made of something that is no class")
    return {} if kind.qualified in _DICTS else Record(str(kind))


_DICTS = frozenset(
    {
        "collections.OrderedDict",
        "collections.defaultdict",
        "builtins.dict",
        "dnnlib.util.EasyDict",
        "dnnlib.util.TensorGroup",
        "easydict.EasyDict",
    }
)
_FUNCTIONS: dict[str, Builder] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _retyped,
    "torch.storage._load_from_bytes": _storage,
    "torch.Size": _size,
    "numpy.core.multiarray.scalar": _number,
    "_codecs.encode": _encoded,
    "copyreg._reconstructor": _bare,
    "dill._dill._load_type": _dill_type,
    "builtins.bytes": _empty_bytes,
    "builtins.set": _set,
    **dict.fromkeys(_DICTS, _pairs),
}
_RECORDS = frozenset(
    {
        "torch.device",
        "torch.nn.modules.activation.Softplus",
        "torch.nn.modules.container.ModuleList",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.sparse.Embedding",
        "torch.optim.adam.Adam",
        "training.networks_discriminator.Discriminator",
        "training.triplane.OSGDecoder",
        "training.volumetric_rendering.ray_marcher.MipRayMarcher2",
        "training.volumetric_rendering.ray_sampler.RaySampler",
        "training.volumetric_rendering.renderer.ImportanceRenderer",
        "omegaconf.base.ContainerMetadata",
        "omegaconf.base.Metadata",
        "omegaconf.dictconfig.DictConfig",
        "omegaconf.listconfig.ListConfig",
        "omegaconf.nodes.AnyNode",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.numeric._frombuffer",
        "numpy.dtype",
    }
)
_VALUES = frozenset(  # never called, only mentioned
    {"builtins.int", "builtins.list", "builtins.object", "numpy.ndarray", "torch.nn.parameter.Parameter", "typing.Any"}
)
_REBUILT_CLASS = re.compile(r"_imported_module_[0-9a-f]{32}\.\w+")
_RENAMED = (
    (re.compile(r"^__builtin__\b"), "builtins"),
    (re.compile(r"^copy_reg\b"), "copyreg"),
    (re.compile(r"^numpy\._core\b"), "numpy.core"),
    (re.compile(r"^src\.(?=torch_utils\.|dnnlib\.|training\.)"), ""),
)


class OfficialVocabulary:
    """The names of EG3D's, EpiGRAF's and 3DGP's checkpoints.

    Args:
        budget: What the file may still cost.
        allow_unknown: Keep names outside the list as placeholders instead of refusing the file.

    Attributes:
        unknown: The names outside the list that were met.
    """

    def __init__(self, budget: Budget, *, allow_unknown: bool = False) -> None:
        self.budget, self.allow_unknown = budget, allow_unknown
        self.unknown: dict[str, None] = {}
        self._names: dict[tuple[str, str], Name] = {}

    def find(self, module: str, name: str) -> Name:
        """Give the token for a global.

        Raises:
            CheckpointError: It is not on the list, and placeholders are not allowed.
        """
        token = self._names.get((module, name))
        if token is None:
            token = self._names[module, name] = self._make(module, name)
        return token

    def _make(self, module: str, name: str) -> Name:
        qualified = f"{module}.{name}"
        for pattern, replacement in _RENAMED:
            qualified = pattern.sub(replacement, qualified)
        if self.knows(qualified):
            return Name(qualified[: -len(name) - 1], name)
        token = Name(module, name, known=False)
        if module.startswith("dnnlib.tflib"):
            raise CheckpointError("it holds TensorFlow networks of the first StyleGANs, which have no radiance field")
        if not self.allow_unknown:
            raise CheckpointError(
                f"it refers to {token}, which is in no published checkpoint; nothing was run. "
                f"If you trust its contents to load without it, convert it with {option('allow_unknown', True)}"
            )
        if len(self.unknown) < _MAX_UNKNOWN:
            self.unknown[str(token)] = None
        return token

    def knows(self, qualified: str) -> bool:
        """Whether a global has a meaning here."""
        known = qualified in _FUNCTIONS or qualified in _RECORDS or qualified in _VALUES
        return known or _REBUILT_CLASS.fullmatch(qualified) is not None

    def call(self, callee: Any, arguments: tuple[Any, ...]) -> Any:
        """Give what stands for a call: a value for the few functions that make data, else a record.

        Raises:
            CheckpointError: The file calls something that is no function, or with arguments of another kind.
        """
        if not isinstance(callee, Name):
            raise CheckpointError(f"it calls a {type(callee).__name__}, which no checkpoint does; nothing was run")
        if callee.known and callee.qualified in _VALUES:
            raise CheckpointError(f"it calls {callee}, which no checkpoint does; nothing was run")
        build = _FUNCTIONS.get(callee.qualified) if callee.known else None
        if build is None:
            return Record(str(callee), arguments)
        try:
            value = build(arguments)
        except (IndexError, TypeError, ValueError, struct.error) as error:
            raise CheckpointError(f"it calls {callee} with arguments of another kind; the file is damaged") from error
        if isinstance(value, bytes):
            self.budget.spend_text(len(value))
        return value

    def persistent(self, identifier: Any) -> Any:
        """Refuse objects outside the stream: only the nested storages name some.

        Raises:
            CheckpointError: Always.
        """
        raise CheckpointError("it refers to objects outside the pickle; it was written by another program")
