"""Files that try to harm whoever reads them: seeded mutations of valid snapshots, and bombs made by hand."""

import pickle
import pickletools
import random
import struct
from collections.abc import Iterator

import torch

from tests.official_pickles import official_bytes, persistent
from tests.pickle_nodes import Call, Global, Instance, Layout, dumps, storage_blob

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


def valid_files() -> list[bytes]:
    """Snapshots of two families under every protocol; small, so that thousands can be read."""
    torch.manual_seed(0)
    eg3d = {
        "backbone.synthesis.b4.const": torch.randn(2, 4, 4),
        "backbone.synthesis.b4.conv1.weight": torch.randn(2, 2, 3, 3),
        "decoder.net.0.weight": torch.randn(3, 2),
    }
    threedgp = {
        "synthesis.tri_plane_decoder.b4.const": torch.randn(2, 4, 4),
        "mapping.mean_camera_params": torch.randn(5, dtype=torch.float64),
    }
    config = {"c_dim": 3, "dataset": {"c_dim": 3}, "camera": {"fov": [1.0, 2.0]}, "patch": {"resolution": 8}}
    files = []
    for protocol in (2, 3, 4, 5):
        layout = Layout(protocol=protocol)
        rendering = {"rendering_kwargs": {"ray_start": 2.25}}
        files.append(official_bytes("eg3d", {"z_dim": 8, **rendering}, eg3d, layout=layout))
        files.append(official_bytes("threedgp", {"z_dim": 8}, threedgp, config=config, layout=layout))
    return files


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


KINDS = (
    *("bit_flips", "bit_flips", "truncation", "noise", "shuffled_operations", "swapped_global", "giant_size"),
    *("deep_nesting", "deep_key", "memo_abuse", "recursion", "call_chain", "placeholder_calls"),
)


def text(value: str) -> bytes:
    """Push a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Give every truncation, then random mutations, `count` in all: what was done, and the file."""
    source = random.Random(seed)
    mutators = [Mutator(data, source) for data in valid_files()]
    made = 0
    for mutator in mutators:
        for data in mutator.every_truncation():
            yield "every_truncation", data
            made += 1
    while made < count:
        yield source.choice(mutators).any()
        made += 1


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that would cost a careless reader everything."""
    start = b"\x80\x04"
    yield "a gigabyte of empty sets", start + b"\x8f\x94" * 2_000_000
    yield "a million marks", start + b"(" * 1_000_000 + b"1" * 1_000_000
    yield "a million duplicates", start + b"]" + b"2" * 2_000_000 + b"."
    yield "numbers that collide as keys", start + b"}" + b"(" + _colliding(40_000) + b"u."
    yield "numbers that collide in a set", start + b"\x8f" + b"(" + _colliding(40_000, values=False) + b"\x90."
    yield "one text encoded over and over", start + _encode_over_and_over()
    yield "a tuple of tuples as a key", start + b"})" + b"\x85" * 700_000 + b"Ns."
    yield "wide texts", start + b"]" + (b"X" + struct.pack("<I", 4000) + "😀".encode() * 1000 + b"a") * 20_000
    yield "modules that double", _doubling_modules()
    yield "settings that double", _doubling_settings()
    yield "one storage, many tensors", _shared_storage()
    yield "a tensor of one number", _expanded()
    yield "an object as a key, in which everything is there twice", _written_out()
    yield "a long table shared by modules", _shared_table()
    yield "a long list as a set of names, shared by modules", _shared_table(names=True)
    yield "one set as every setting", _shared_setting({f"name {i}" for i in range(2000)})
    yield "one small tensor as every setting", _shared_setting(torch.zeros(4096))
    yield "one text as every setting", _shared_setting("x" * 4000)
    yield "one long tuple as the arguments of every call", start + _long_arguments()
    yield "tensors with a side of 0 and giant others", _empty_giants((0, 2**40, 2**40))
    yield "rows without end, of nothing", _empty_giants((2**40, 0))


def _colliding(count: int, *, values: bool = True) -> bytes:
    """Integers with one hash: multiples of 2**61 - 1."""
    numbers = (pickle.dumps((2**61 - 1) * i * 2**64, 2)[2:-1] for i in range(1, count))
    return b"".join(number + (b"N" if values else b"") for number in numbers)


def _encode_over_and_over() -> bytes:
    function = text("_codecs") + text("encode") + b"\x93\x94"
    arguments = b"X" + struct.pack("<I", 4000) + b"x" * 4000 + text("latin1") + b"\x86\x94"
    return function + arguments + b"]" + b"h\x00h\x01Ra" * 150_000


def _snapshot(state: dict) -> bytes:
    return dumps({"G_ema": persistent("TriPlaneGenerator", state)})


def _doubling_modules() -> bytes:
    module = persistent("Any", {"_parameters": {"weight": torch.ones(1)}, "_buffers": {}, "_modules": {}})
    for _ in range(20):
        module = persistent("Any", {"_parameters": {}, "_buffers": {}, "_modules": {"a": module, "b": module}})
    return _snapshot({"_modules": {"backbone": module}})


def _doubling_settings() -> bytes:
    value: list = ["x"]
    for _ in range(35):
        value = [value, value]
    names = ("backbone.synthesis.b4.const", "decoder.net.0.weight")
    return official_bytes("eg3d", {"z_dim": value}, {name: torch.ones(2) for name in names})


def _shared_storage() -> bytes:
    big = torch.zeros(1_000_000, dtype=torch.uint8)
    names = ["backbone.synthesis.b4.const", *(f"decoder.net.{i}.weight" for i in range(3000))]
    root = {"_parameters": dict.fromkeys(names, big), "_buffers": {}, "_modules": {}}
    return _snapshot(root)


def _written_out() -> bytes:
    """An object that is a key of a table of settings: as text it has 2**60 parts."""
    value: object = Instance(Global("torch", "device"))
    for _ in range(60):
        value = Instance(Global("torch", "device"), arguments=(value, value))
    tensors = {"synthesis.tri_plane_decoder.b4.const": torch.ones(2), "mapping.mean_camera_params": torch.ones(5)}
    return official_bytes("threedgp", {}, tensors, config={"camera": {value: 1}}, layout=Layout(config_as="dict"))


def _shared_table(*, names: bool = False) -> bytes:
    one = torch.ones(1)
    table = dict.fromkeys([f"entry{i}" for i in range(3000)]) | {"weight": one}
    buffers = {f"buffer{i}": one for i in range(300)} if names else {}
    state = {"_parameters": table, "_buffers": buffers, "_modules": {}}
    state |= {"_non_persistent_buffers_set": [f"buffer{i}x" for i in range(3000)]} if names else {}
    modules = {f"m{i}": persistent("Any", state) for i in range(1000)}
    backbone = persistent("Any", {"_parameters": {}, "_buffers": {}, "_modules": modules})
    return _snapshot({"_parameters": {}, "_buffers": {}, "_modules": {"backbone": backbone}})


def _shared_setting(value: object) -> bytes:
    return _settings({f"setting {i}": value for i in range(20_000)})


def _settings(arguments: dict) -> bytes:
    names = ("backbone.synthesis.b4.const", "decoder.net.0.weight")
    return official_bytes("eg3d", arguments, {name: torch.ones(2) for name in names})


def _long_arguments() -> bytes:
    function = text("torch._utils") + text("_rebuild_tensor") + b"\x93\x94"
    return function + b"(" + b"N" * 50_000 + b"t\x94" + b"]" + b"cnumpy\ndtype\nh\x01Ra" * 100_000


def _empty_giants(size: tuple[int, ...]) -> bytes:
    """A tensor without elements and with sides that no library takes, as a parameter and as a setting."""
    storage = Call(Global("torch.storage", "_load_from_bytes"), (storage_blob(torch.zeros(1)),))
    giant = Call(Global("torch._utils", "_rebuild_tensor_v2"), (storage, 0, size, size, False, {}))
    names = ("backbone.synthesis.b4.const", "decoder.net.0.weight")
    parameters = {name: torch.ones(2) for name in names} | {"giant": giant}
    return _snapshot({"_parameters": parameters, "_buffers": {}, "_modules": {}, "setting": giant})


def _expanded() -> bytes:
    one = torch.zeros(1).expand(1 << 20, 1 << 12)
    tensors = {"backbone.synthesis.b4.const": one, "decoder.net.0.weight": torch.ones(1)}
    return official_bytes("eg3d", {}, tensors, layout=Layout(only_ema=True))
