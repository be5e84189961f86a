"""Seeded ways to spoil a pickle as a stream of operations, and the ZIP archive that torch keeps one in."""

import io
import pickletools
import random
import struct
import zipfile
from collections.abc import Iterator

VICTIMS = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("subprocess", "Popen"),
    ("importlib", "import_module"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("socket", "create_connection"),
    ("pickle", "loads"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("numpy", "load"),
    ("pathlib", "Path"),
    ("gen3d_tools.files", "atomic_path"),
]
COMMAND = b"touch gen3d-was-here"


class Mutator:
    """Spoils one valid file in every way known here.

    Args:
        data: The file.
        random_source: Decides how.
    """

    def __init__(self, data: bytes, random_source: random.Random) -> None:
        self.data, self.random = data, random_source
        self.operations = [(code, argument, position) for code, argument, position in pickletools.genops(data)]
        self.starts = [position for _, _, position in self.operations]

    def every_truncation(self) -> Iterator[bytes]:
        """Cut before, within and after one operation of every kind."""
        firsts = {code.name: position for code, _, position in reversed(self.operations)}
        for position in firsts.values():
            for shift in (0, 1, 2, 5):
                yield self.data[: position + shift]

    def bit_flips(self) -> bytes:
        spoiled = bytearray(self.data)
        for _ in range(self.random.choice((1, 1, 2, 4, 16))):
            spoiled[self.random.randrange(len(spoiled))] ^= 1 << self.random.randrange(8)
        return bytes(spoiled)

    def truncation(self) -> bytes:
        return self.data[: self.random.randrange(len(self.data))]

    def noise(self) -> bytes:
        start, length = self.random.randrange(len(self.data)), self.random.choice((1, 3, 20, 300))
        return self.data[:start] + self.random.randbytes(length) + self.data[start + length :]

    def shuffled_operations(self) -> bytes:
        first, second = sorted(self.random.sample(range(1, len(self.starts) - 1), 2))
        pieces = [self.data[: self.starts[first]], self.data[self.starts[first] : self.starts[second]]]
        rest = self.data[self.starts[second] :]
        kind = self.random.randrange(3)
        return pieces[0] + (b"" if kind == 0 else pieces[1] * 2 if kind == 1 else rest[:40] + pieces[1]) + rest

    def swapped_global(self) -> bytes:
        """Let a name stand for something dangerous."""
        module, name = self.random.choice(VICTIMS)
        choices = [
            (code, argument, position)
            for code, argument, position in self.operations
            if code.name in ("GLOBAL", "STACK_GLOBAL")
        ]
        code, argument, position = self.random.choice(choices)
        if code.name == "GLOBAL":
            end = position + len(argument) + 2
            return self.data[:position] + f"c{module}\n{name}\n".encode() + self.data[end:]
        return self.data[:position] + b"00" + text(module) + text(name) + self.data[position:]

    def insert(self, payload: bytes) -> bytes:
        position = self.random.choice(self.starts[1:])
        return self.data[:position] + payload + self.data[position:]

    def giant_size(self) -> bytes:
        """Announce far more than there is."""
        size = self.random.choice((2**16, 2**24, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**64 - 1))
        short, long = struct.pack("<I", min(size, 2**32 - 1)), struct.pack("<Q", size)
        if self.random.random() < 0.3:
            return self._giant_number(size)
        code = self.random.choice((b"X", b"B", b"\x8b", b"\x8d", b"\x8e", b"\x96", b"\x95", b"T"))
        return self.insert(code + (short if code in (b"X", b"B", b"\x8b", b"T") else long) + b"x" * 9)

    def _giant_number(self, size: int) -> bytes:
        """Overwrite a size, an offset, or the count of a storage."""
        if self.random.random() < 0.5:
            numbers = [position for code, _, position in self.operations if code.name == "BININT1"]
            position = self.random.choice(numbers)
            return self.data[:position] + b"\x8a\x08" + struct.pack("<Q", size % 2**63) + self.data[position + 2 :]
        blobs = [position for code, _, position in self.operations if code.name in ("BINBYTES", "BINUNICODE")]
        position = self.random.choice(blobs or [40]) + self.random.randrange(5, 400)
        return self.data[:position] + struct.pack("<q", size % 2**63) + self.data[position + 8 :]

    def deep_nesting(self) -> bytes:
        depth = self.random.choice((100, 1000, 5000))
        opening = self.random.choice((b"(", b"]", b"}", b")\x85", b"](", b"}N", b"]\x94"))
        closing = self.random.choice((b"", b"\x85", b"a", b"e", b"s", b"t", b"\x91"))
        return self.insert(opening * depth + closing * depth)

    def deep_key(self) -> bytes:
        """Use a deep tuple as a key: hashing it would overflow the C stack."""
        return self.insert(b"})" + b"\x85" * self.random.choice((100, 1000, 20_000)) + b"Ns0")

    def memo_abuse(self) -> bytes:
        index = struct.pack("<I", self.random.choice((2**32 - 1, 2**31, 255, 10**6)))
        payload = self.random.choice(
            (
                b"Nr" + index + b"0",
                b"j" + index,
                b"h" + self.random.randbytes(1),
                b"}" + b"2" * 5000,
                b"]" + b"\x94" * 5000,
                b"]\x94" + b"2a" * 5000,
            )
        )
        return self.insert(payload)

    def recursion(self) -> bytes:
        payload = self.random.choice(
            (
                b"]\x942a",  # a list in itself
                b"]q\x00h\x00ah\x00h\x00e",
                b"}q\x00" + text("_modules") + b"h\x00s",
                b"}q\x00h\x00h\x00s",
                b")q\x00h\x00\x85b",
                text("G_ema") + b"h\x00s",
            )
        )
        return self.insert(payload)

    def call_chain(self) -> bytes:
        module, name = self.random.choice(VICTIMS)
        argument = self.random.choice((text(COMMAND.decode()), text("os"), b"N", b"]", text("__class__")))
        old = f"c{module}\n{name}\n".encode()
        new = text(module) + text(name) + b"\x93"
        victim = self.random.choice((old, new))
        payload = self.random.choice(
            (
                victim + argument + b"\x85R",
                victim + argument + b"\x85R" + argument + b"\x85R",
                victim + argument + b"\x85\x81}b",
                b"cbuiltins\ngetattr\n" + victim + text("__call__") + b"\x86R" + argument + b"\x85R",
                b"(" + argument + f"i{module}\n{name}\n".encode(),
                b"(" + victim + argument + b"o",
                victim + argument + b"\x85}\x92",
                argument + b"Q",
                b"Pos.system\n",
                victim + b")R}" + argument + b"Nsb",
            )
        )
        return self.insert(payload)

    def placeholder_calls(self) -> bytes:
        placeholder = text("fork.things") + text("Thing") + b"\x93"
        payload = self.random.choice(
            (
                placeholder + b")R)R",
                placeholder + b")\x81" + text(COMMAND.decode()) + b"\x85R",
                placeholder + b")R}" + text("_modules") + b"h\x00sb",
                placeholder + b")R(" + text("a") + b"h\x01u",
                placeholder + b")R(NNNe",
                text("_reconstruct_persistent_obj").join((text("torch_utils.persistence"), b"\x93")) + b"}\x85R",
                placeholder + b"N\x85R" + placeholder + b"\x85Rb",
            )
        )
        return self.insert(payload)

    def any(self) -> tuple[str, bytes]:
        """Spoil it in one of these ways, chosen at random."""
        kind = self.random.choice(KINDS)
        return kind, getattr(self, kind)()


class ArchiveMutator:
    """Spoils a ZIP archive: the pickle in it, its checksum made right again, or the archive's own bytes."""

    def __init__(self, data: bytes, random_source: random.Random) -> None:
        self.data, self.random = data, random_source
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            self.parts = {name: archive.read(name) for name in archive.namelist()}
        self.name = next(name for name in self.parts if name.endswith("/data.pkl"))
        self.inner = Mutator(self.parts[self.name], random_source)
        self.outer = Outside(data, random_source)

    def every_truncation(self) -> Iterator[bytes]:
        """Cut the pickle within operations of every kind, and the archive before and within its directory."""
        for pickled in self.inner.every_truncation():
            yield self.zipped({**self.parts, self.name: pickled})
        for end in range(0, len(self.data), max(1, len(self.data) // 40)):
            yield self.data[:end]

    def any(self) -> tuple[str, bytes]:
        """Spoil it in one of these ways, chosen at random."""
        if self.random.random() < 0.4:
            return "archive", self.outer.any()
        kind, pickled = self.inner.any()
        return kind, self.zipped({**self.parts, self.name: pickled})

    @staticmethod
    def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
        """Write an archive."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return file.getvalue()


class Outside:
    """Spoils the bytes of a ZIP archive: headers, directory, contents."""

    def __init__(self, data: bytes, random_source: random.Random) -> None:
        self.data, self.random = data, random_source
        self.headers = [
            place
            for mark in (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
            for place in _every(data, mark)
        ]

    def any(self) -> bytes:
        """Flip bits, overwrite a field of the directory by an extreme number, cut, or repeat."""
        kind, spoiled = self.random.randrange(4), bytearray(self.data)
        if kind == 0:
            for _ in range(self.random.choice((1, 2, 8))):
                spoiled[self.random.randrange(len(spoiled))] ^= 1 << self.random.randrange(8)
        elif kind == 1:
            place = self.random.choice(self.headers) + self.random.randrange(4, 46)
            size = self.random.choice((2, 4, 8))
            number = self.random.choice((0, 1, 2**15, 2**31, 2**62, 2**64 - 1)) % 2 ** (8 * size)
            spoiled[place : place + size] = number.to_bytes(size, "little")
        elif kind == 2:
            del spoiled[self.random.randrange(len(spoiled)) :]
        else:
            start = self.random.randrange(len(spoiled))
            spoiled[start:start] = spoiled[start : start + self.random.randrange(1, 400)]
        return bytes(spoiled)


def _every(data: bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


KINDS = (
    *("bit_flips", "bit_flips", "truncation", "noise", "shuffled_operations", "swapped_global", "giant_size"),
    *("deep_nesting", "deep_key", "memo_abuse", "recursion", "call_chain", "placeholder_calls"),
)


def text(value: str) -> bytes:
    """Push a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()
