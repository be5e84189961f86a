"""Files that try to harm whoever reads them: seeded mutations of valid snapshots, and bombs made by hand."""

import pickle
import random
import struct
import zipfile
from collections.abc import Iterator

import torch

from tests.checkpoints.spoiling import ArchiveMutator, Mutator, text
from tests.support.official_archives import archive_bytes, snapshot
from tests.support.official_pickles import official_bytes, omega_node, persistent
from tests.support.pickle_nodes import Call, Global, Instance, Layout, dumps, storage_blob


def valid_files() -> list[bytes]:
    """Snapshots of three families under every protocol; small, so that thousands can be read."""
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
    stylenerf = {
        "synthesis.alpha": torch.ones([]),
        "synthesis.fg_nerf.fc_in.weight": torch.randn(2, 6, 1, 1),
    }
    config = {"c_dim": 3, "dataset": {"c_dim": 3}, "camera": {"fov": [1.0, 2.0]}, "patch": {"resolution": 8}}
    files = []
    for protocol in (2, 3, 4, 5):
        layout = Layout(protocol=protocol)
        rendering = {"rendering_kwargs": {"ray_start": 2.25}}
        files.append(official_bytes("eg3d", {"z_dim": 8, **rendering}, eg3d, layout=layout))
        files.append(official_bytes("threedgp", {"z_dim": 8}, threedgp, config=config, layout=layout))
        held = {"synthesis": {"C": persistent("CameraRay", {"fov": 12, "range_u": [-0.3, 0.3]}, "stylenerf")}}
        nested = {"synthesis_kwargs": omega_node({"z_dim": 0, "conv_clamp": "${spec.clamp}"}, None)}
        files.append(official_bytes("stylenerf", {"z_dim": 8, **nested}, stylenerf, attributes=held, layout=layout))
    return files


def valid_archives() -> list[bytes]:
    """VolumeGAN snapshots as torch writes them, with and without what training adds."""
    torch.manual_seed(0)
    tensors = {
        "nerfmlp.fv.const": torch.randn(1, 2, 2, 2, 2),
        "nerfmlp.fg_density.weight": torch.randn(1, 3),
        "synthesis.lod": torch.zeros(()),
    }
    kwargs = {"z_dim": 8, "conv_clamp": None, "fv_cfg": {"feat_res": 4}, "ps_cfg": {"fov": 12, "ray_start": 0.8}}
    whole = snapshot(kwargs, tensors)
    training = {"optimizers": {"state": {0: {"step": torch.zeros(1), "exp_avg": torch.zeros(2)}}}, "lr": [0.1, True]}
    return [archive_bytes(whole), archive_bytes(whole | training)]


def mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Give every truncation, then random mutations, `count` in all: what was done, and the file."""
    source = random.Random(seed)
    mutators = [Mutator(data, source) for data in valid_files()]
    mutators += [ArchiveMutator(data, source) for data in valid_archives() * 3]
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
    yield from _archive_bombs()


def _archive_bombs() -> Iterator[tuple[str, bytes]]:
    """Archives that would unpack to far more than they are, or never end."""
    zipped = ArchiveMutator.zipped
    yield "zeros, compressed", zipped({"a/data.pkl": b"\0" * 300_000_000}, zipfile.ZIP_DEFLATED)
    yield "entries without end", zipped({f"a/data/{i}": b"" for i in range(30_000)} | {"a/data.pkl": b"\x80\x02N."})
    yield "two pickles", zipped({"a/data.pkl": b"\x80\x02N.", "b/data.pkl": b"\x80\x02N."})
    yield "a million marks in an archive", zipped({"a/data.pkl": b"\x80\x02" + b"(" * 1_000_000})
    one = torch.zeros(1).expand(1 << 20, 1 << 12)
    state = {"nerfmlp.fv.const": one, "nerfmlp.fg_density.weight": torch.ones(1)}
    yield "an archive's tensor of one number", archive_bytes(snapshot({}, state))
    big = torch.zeros(1_000_000, dtype=torch.uint8)
    names = ["nerfmlp.fv.const", "nerfmlp.fg_density.weight", *(f"nerfmlp.x{i}" for i in range(3000))]
    yield "an archive's storage, many tensors", archive_bytes(snapshot({}, dict.fromkeys(names, big)))
    value: list = ["x"]
    for _ in range(35):
        value = [value, value]
    yield (
        "an archive's settings that double",
        archive_bytes(snapshot({"z_dim": value}, dict.fromkeys(names[:2], big[:1]))),
    )


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
