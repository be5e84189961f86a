"""An accelerator that is not there: tensors that count with the CPU, and refuse what CUDA refuses.

What runs on it runs on CUDA as far as devices go: tensors of two devices do not meet, nothing becomes numpy, and new
tensors are made where the others are. Double precision is refused too: most GPUs are slow in it. It bears the name
"meta", the only device besides the CPU that every build of torch lets one name; inside `pretended_device` its tensors
have values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
DEVICE = torch.device("meta")

# CUDA takes these with tensors on the CPU: indices, and what moves data between devices.
_MIXED = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten.copy_.default,
    aten._to_copy.default,
}


class DeviceError(AssertionError):
    """What CUDA, or a person who waits for it, would complain about."""


class Pretended(Tensor):
    """A tensor on the device that is not there."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Pretended":
        if held.dtype == torch.float64:
            raise DeviceError("a tensor of double precision on the device")
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"Pretended({self.held})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, dict(kwargs or {}))


class _Operators(TorchDispatchMode):
    """Sees every operator, those that make tensors or move them to the device among them."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, dict(kwargs or {}))


class _Constructors(TorchFunctionMode):
    """Makes tensors of Python's numbers on the CPU and moves them: torch does so too, but shows it to no one."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is Tensor.new_tensor:
            like, args = args[0], args[1:]
            kwargs = {"dtype": like.dtype, "device": like.device} | kwargs
            function = torch.tensor
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _indices(args[1]), *args[2:])
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") and not isinstance(args[0], Tensor):
            return function(*args, **(kwargs | {"device": "cpu"})).to(kwargs["device"])
        return function(*args, **kwargs)


def _indices(index):
    """Lists of places become tensors on the CPU, which CUDA takes."""
    parts = index if isinstance(index, tuple) else (index,)
    made = tuple(torch.tensor(part) if isinstance(part, list | tuple) else part for part in parts)
    return made if isinstance(index, tuple) else made[0]


def _run(function: Callable, args: tuple, kwargs: dict):
    """Do on the CPU what is asked of the device, and put the result where it belongs."""
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    here = any(isinstance(one, Pretended) for one in tensors)
    if here and function not in _MIXED and any(one.dim() > 0 and not isinstance(one, Pretended) for one in tensors):
        raise DeviceError(f"{function} meets tensors on the device and on the CPU")
    if kwargs.get("device") is not None:
        here = torch.device(kwargs["device"]) == DEVICE
        kwargs["device"] = torch.device("cpu")
    if here and kwargs.get("generator") is not None:
        raise DeviceError(f"{function} draws on the device with a generator of the CPU")
    result = function(*_held(args), **_held(kwargs))
    if "out" in kwargs:
        return kwargs["out"]
    if function._schema.is_mutable and args and isinstance(args[0], Tensor):
        return args[0]
    return tree_map(lambda one: Pretended(one) if isinstance(one, Tensor) else one, result) if here else result


def _held(values):
    return tree_map(lambda one: one.held if isinstance(one, Pretended) else one, values)


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """Let there be a device inside the block; modules go there by `module.to(device)`."""
    with _Operators(), _Constructors():
        yield DEVICE
