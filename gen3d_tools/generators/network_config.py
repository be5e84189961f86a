"""What all network configs share: plain values out, and strictly checked values in."""

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gen3d_tools.checkpoints.configs.schema import check_keys
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import quoted

Config = TypeVar("Config", bound="NetworkConfig")

MAX_SIZE = 1 << 20
"""No count in a config is beyond this."""

MAX_NAMES = 100_000
"""No list of class names is longer."""

MAX_NUMBER = 1e6
"""No number with a fraction is beyond this, on either side of 0: weights are float32, and so is all that follows."""

_LARGEST = {"_layers": 64, "_blocks": 64, "_steps": 64, "_resolution": 4096}
"""Counts by the ends of their names that are smaller: each layer costs time before any tensor is compared, and planes
and pictures take memory that no tensor in the file stands for."""

_POSITIVE = ("box_side",)


class NetworkConfig:
    """Base of the frozen dataclasses that say what a network is. Fields are plain values, or tuples of them."""

    later: ClassVar[tuple[str, ...]] = ()
    """Fields that older model folders do not have; theirs are the defaults."""

    @property
    def scene(self) -> str:
        """What a scene is made of, in words: kind, sizes and channels; "" for networks that make none."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Read what `to_dict` wrote; every key must be there (but `later` ones) and no other, each of its field's type.

        Raises:
            CheckpointError: A key is unknown or missing, or a value does not fit.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        check_keys(values, [name for name in names if name in values or name not in cls.later], "network config")
        names = [name for name in names if name in values]
        hints = get_type_hints(cls)
        for name in names:
            largest = next((most for end, most in _LARGEST.items() if name.endswith(end)), MAX_SIZE)
            if not _fits(values[name], hints[name], largest) or (name in _POSITIVE and not values[name] > 0):
                choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
                named = ", ".join(map(str, choices))
                wanted = f"it must be one of {named}" if named else "which is not what belongs there"
                raise CheckpointError(f"network config: {name} is {quoted(values[name])}, {wanted}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _fits(value: Any, hint: Any, largest: int = MAX_SIZE) -> bool:
    """Whether a value read from JSON is of a field's type and within reason."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice, largest) for choice in arguments)
    if origin is tuple:
        longest = MAX_NAMES if arguments[0] is str else 16
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= longest:
            return False
        whole = arguments[0] is int  # widths of layers, which cannot be 0
        return all(_fits(one, arguments[0], largest) and not (whole and one == 0) for one in value)
    if hint is int:
        return type(value) is int and 0 <= value <= largest
    if hint is float:
        return type(value) in (int, float) and abs(value) <= MAX_NUMBER
    return type(value) is hint
