"""What belongs where in a table of settings: a small language to say it once, and one function that checks it.

A schema is a value. `Table({"near": Either(Number(0, 10), Choice("box"))})` fits `{"near": "box"}` and `{"near": 2.2}`,
and about anything else `check` says where it is, what was found and what was needed.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import listed, printable, quoted


class Schema(ABC):
    """What a value must be."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What belongs there, in words."""

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether the value itself is right; what it holds is checked by `within`."""

    def within(self, value: Any, where: str, place: str) -> None:  # noqa: B027
        """Check what a value that fits holds. Most values hold nothing.

        Raises:
            CheckpointError: See `check`.
        """


def check(value: Any, schema: Schema, where: str, place: str = "") -> None:
    """Refuse a value that is not what a schema wants, or holds one.

    Args:
        value: Plain values, as JSON has them.
        schema: What belongs there.
        where: Names the file in errors.
        place: Where in it the value is, such as "cameras.default"; "" is all of it.

    Raises:
        CheckpointError: One line: where, what was found, what was needed.
    """
    if not schema.fits(value):
        raise CheckpointError(f"{_at(where, place)} is {quoted(value)}, it must be {schema.wanted}")
    schema.within(value, where, place)


def _at(where: str, place: str) -> str:
    return f"{where}: {printable(place, 200)}" if place else where


@dataclass(frozen=True)
class Number(Schema):
    """A number from `low` to `high`, both included."""

    low: float
    high: float
    whole: bool = False
    above: bool = False  # `low` itself is not allowed

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        what = "a whole number" if self.whole else "a number"
        return f"{what} {f'above {self.low:g}, at most' if self.above else f'from {self.low:g} to'} {self.high:g}"

    def fits(self, value: Any) -> bool:
        """Whether the value is such a number; bool is none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)


@dataclass(frozen=True)
class Flag(Schema):
    """True or False."""

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return "true or false"

    def fits(self, value: Any) -> bool:
        """Whether the value is a bool."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class Nothing(Schema):
    """None."""

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return "null"

    def fits(self, value: Any) -> bool:
        """Whether the value is None."""
        return value is None


@dataclass(frozen=True)
class Text(Schema):
    """A text of limited length, and of a form if there is one."""

    longest: int
    form: str | None = None  # regular expression for the whole text
    name: str = ""  # what such a text is called

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return self.name or f"a text of at most {self.longest:,} characters"

    def fits(self, value: Any) -> bool:
        """Whether the value is such a text."""
        fits = isinstance(value, str) and len(value) <= self.longest
        return fits and (self.form is None or re.fullmatch(self.form, value) is not None)


class Choice(Schema):
    """One of some texts."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return f"one of {', '.join(self.names)}" if len(self.names) > 1 else f'"{self.names[0]}"'

    def fits(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return isinstance(value, str) and value in self.names


class Either(Schema):
    """What one of several schemas wants; the first that fits checks what is within."""

    def __init__(self, *schemas: Schema) -> None:
        self.schemas = schemas

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return ", or ".join(schema.wanted for schema in self.schemas)

    def fits(self, value: Any) -> bool:
        """Whether one of them fits."""
        return any(schema.fits(value) for schema in self.schemas)

    def within(self, value: Any, where: str, place: str) -> None:
        """Check what the value holds."""
        next(schema for schema in self.schemas if schema.fits(value)).within(value, where, place)


@dataclass(frozen=True)
class ListOf(Schema):
    """A list of things of one kind."""

    item: Schema
    longest: int
    shortest: int = 0

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        count = f"{self.shortest:,}" if self.shortest == self.longest else f"{self.shortest:,} to {self.longest:,}"
        return f"a list of {count}"

    def fits(self, value: Any) -> bool:
        """Whether the value is a list of such a length."""
        return isinstance(value, list | tuple) and self.shortest <= len(value) <= self.longest

    def within(self, value: Sequence[Any], where: str, place: str) -> None:
        """Check every item."""
        for index, one in enumerate(value):
            check(one, self.item, where, f"{place}[{index}]")


@dataclass(frozen=True)
class Table(Schema):
    """A table with exactly these keys; or, with `others`, with any of them and others."""

    fields: Mapping[str, Schema]
    others: Schema | None = None
    later: tuple[str, ...] = ()
    """Keys that files of earlier versions lack."""

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return f"a table of {listed(self.fields)}" if self.fields else "a table"

    def fits(self, value: Any) -> bool:
        """Whether the value is a table."""
        return isinstance(value, Mapping)

    def within(self, value: Mapping[str, Any], where: str, place: str) -> None:
        """Check the keys, then every value."""
        if self.others is None:
            check_keys({**dict.fromkeys(self.later), **value}, self.fields, _at(where, place))
        for key, one in value.items():
            schema = self.fields.get(key, self.others)
            assert schema is not None, "check_keys has refused other keys"
            check(one, schema, where, f"{place}.{key}" if place else key)


@dataclass(frozen=True)
class Tagged(Schema):
    """A table whose entry `tag` says which of several tables it is."""

    tag: str
    tables: Mapping[str, Table]

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return f"a table whose {self.tag} is one of {', '.join(self.tables)}"

    def fits(self, value: Any) -> bool:
        """Whether the value is a table of a known kind."""
        kind = value.get(self.tag) if isinstance(value, Mapping) else None
        return isinstance(kind, str) and kind in self.tables

    def within(self, value: Mapping[str, Any], where: str, place: str) -> None:
        """Check it as a table of its kind."""
        self.tables[value[self.tag]].within(value, where, place)


@dataclass(frozen=True)
class Anything(Schema):
    """Any plain values, for people to read: so many, so deep."""

    values: int
    depth: int
    leaves: tuple[type, ...] = field(default=(bool, int, float, str, type(None)))

    @property
    def wanted(self) -> str:
        """What belongs there, in words."""
        return f"at most {self.values:,} plain values, {self.depth} deep"

    def fits(self, value: Any) -> bool:
        """Whether the value holds no more than that. Numbers are finite where JSON is read strictly."""
        waiting, count = [(value, 0)], 0
        while waiting:
            one, depth = waiting.pop()
            count += 1
            if depth > self.depth or count > self.values:
                return False
            if isinstance(one, Mapping):
                if not all(isinstance(key, str) for key in one):
                    return False
                waiting.extend((below, depth + 1) for below in one.values())
            elif isinstance(one, list | tuple):
                waiting.extend((below, depth + 1) for below in one)
            elif not isinstance(one, self.leaves):
                return False
        return True


def check_keys(found: Any, expected: Any, where: str) -> None:
    """Refuse unknown and missing keys by name.

    Args:
        found: What should be a table.
        expected: The keys that it must have, and no others.
        where: Names the file, or the place in it, in errors.

    Raises:
        CheckpointError: One line that lists both.
    """
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{where} is {quoted(found)}, it must be a table of settings")
    wanted = set(expected)
    parts = [
        f"{what} {listed(sorted(keys), 5)}"
        for what, keys in (("unknown key", set(found) - wanted), ("missing key", wanted - set(found)))
        if keys
    ]
    if parts:
        raise CheckpointError(f"{where}: {'; '.join(parts)}; the folder was made for another version, or was edited")
