"""Published pickles: every layout gives the same numbers, and what is no supported generator is refused by name."""

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.checkpoints.source import is_pickle
from gen3d_tools.errors import CheckpointError, NotFoundError
from tests.checkpoints.hostile_files import valid_files
from tests.support.official_pickles import easy_dict, official_bytes, persistent
from tests.support.pickle_nodes import Call, Global, Instance, Layout, dumps, storage_blob

KWARGS = {"z_dim": 8, "w_dim": 16, "rendering_kwargs": {"ray_start": 2.25, "ray_end": "auto", "white_back": True}}
CONFIG = {
    "z_dim": 8,
    "c_dim": 3,
    "dataset": {"c_dim": 3, "white_back": False, "camera": {"fov": 12.0}},
    "camera": {"ray": {"start": 0.75, "end": 1.25}, "steps": [1, 2.5, None, {"a": "b"}]},
    "patch": {"enabled": True, "resolution": 8},
    "name": "${dataset.nothing} of ${more}",
}


def tensors_of(family):
    torch.manual_seed(0)
    prefix = "backbone.synthesis" if family == "eg3d" else "synthesis.tri_plane_decoder"
    tensors = {
        f"{prefix}.b4.const": torch.randn(6, 4, 4),
        f"{prefix}.b4.resample_filter": torch.rand(4, 4),
        f"{prefix}.b4.conv1.weight": torch.randn(5, 6, 3, 3),
        f"{prefix}.b4.conv1.noise_strength": torch.randn([]),
    }
    if family == "eg3d":
        return tensors | {"backbone.mapping.w_avg": torch.randn(16), "decoder.net.0.weight": torch.randn(7, 3)}
    if family == "epigraf":
        return tensors | {"mapping.mean_camera_pose": torch.randn(3), "mapping.w_avg": torch.randn(16)}
    return tensors | {"mapping.mean_camera_params": torch.randn(5, dtype=torch.float64)}


@pytest.fixture
def read(tmp_path):
    def write_and_read(data, **options):
        path = tmp_path / "network.pkl"
        path.write_bytes(data)
        return read_official(path, **options)

    return write_and_read


def write(family="eg3d", **options):
    config = None if family == "eg3d" else CONFIG
    return official_bytes(family, KWARGS, tensors_of(family), **{"config": config, **options})


def same(found, expected):
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) and found[name].dtype == expected[name].dtype for name in expected
    )


@pytest.mark.parametrize("family", ["eg3d", "epigraf", "threedgp"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"location": "cuda:0", "channels_last": True},
        {"only_ema": True, "omit_non_persistent_set": True},
        {"dill": True, "imported_module": True, "config_as": "easydict"},
        {"config_as": "dict"},
    ],
    ids=["plain", "cuda-strided", "ema-only", "saved-again", "dict"],
)
def test_every_layout_gives_the_same_tensors_and_settings(read, family, protocol, layout):
    model = read(write(family, layout=Layout(protocol=protocol, **layout)))
    assert model.family == family
    assert same(model.tensors, tensors_of(family))
    assert model.init_kwargs == KWARGS
    assert model.config == ({} if family == "eg3d" else CONFIG)
    assert model.attributes[""]["z_dim"] == 8
    assert not model.warnings


def test_the_digest_is_that_of_the_file(read):
    import hashlib

    data = write()
    model = read(data)
    assert model.sha256 == hashlib.sha256(data).hexdigest()
    assert model.source == "network.pkl"


def test_state_dict_order_is_torchs(read):
    names = list(read(write()).tensors)
    # own parameters, own buffers, children in order
    start = "backbone.synthesis.b4"
    assert names[:4] == [
        f"{start}.const",
        f"{start}.resample_filter",
        f"{start}.conv1.weight",
        f"{start}.conv1.noise_strength",
    ]


def test_live_attributes_win_and_plain_tensors_become_lists(read):
    axes = torch.eye(3).flip(0).repeat(3, 1, 1)
    attributes = {
        "": {"neural_rendering_resolution": 128, "rendering_kwargs": easy_dict({"ray_end": 3.3})},
        "backbone": {"gain": np.float64(2)},
        "renderer": {"plane_axes": axes},
        "decoder": {"hidden_dim": 64, "big": torch.zeros(5000)},
    }
    model = read(write(attributes=attributes))
    assert model.attributes[""]["neural_rendering_resolution"] == 128
    assert model.attributes[""]["rendering_kwargs"] == {"ray_end": 3.3}
    assert model.attributes["backbone"]["gain"] == 2
    assert model.attributes["renderer"]["plane_axes"] == axes.tolist()
    assert model.attributes["decoder"] == {"hidden_dim": 64}
    assert model.classes["decoder"] == "OSGDecoder"
    assert model.classes[""] == "TriPlaneGenerator"


def test_positional_arguments_are_bound_in_the_order_of_the_constructor(read):
    arguments = (512, 25, 512, 256, 3, 4)
    model = read(write(init_args=arguments))
    names = ("c_dim", "img_resolution", "img_channels", "sr_num_fp16_res")
    assert [model.init_kwargs[name] for name in names] == [25, 256, 3, 4]
    assert model.init_kwargs["z_dim"] == 8  # a keyword says it again


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "dtype",
    [
        getattr(torch, name)
        for name in ["float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
    ],
)
def test_every_storage_type_is_read(read, dtype, protocol):
    tensors = tensors_of("eg3d")
    exact = (torch.randn(5, 6, 3, 3) * 4).to(dtype)
    name = "backbone.synthesis.b4.conv1.weight"
    tensors[name] = exact
    model = read(official_bytes("eg3d", KWARGS, tensors, layout=Layout(protocol=protocol)))
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert torch.equal(model.tensors[name], exact.to(wide))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_as_torch_itself_pickles_them_are_read(read, protocol):
    """The rest of the file is ours, but here torch writes the tensor: a parameter, a strided slice, an empty one."""
    tensors = tensors_of("eg3d")
    whole = torch.nn.Parameter(torch.randn(40, 30))
    for expected in (whole, whole.detach().T[3:9, 2:20:3], torch.zeros(3, 0, 2)):
        tensors["decoder.net.0.weight"] = _as_torch_wrote(expected)
        model = read(_with_nodes(tensors, protocol))
        assert torch.equal(model.tensors["decoder.net.0.weight"], expected.detach())


def _as_torch_wrote(tensor):
    """Take torch's own reduction of a tensor, with the storage's bytes as torch writes them."""
    kind, arguments = tensor.detach().__reduce_ex__(2)
    storage, *rest = arguments
    file = io.BytesIO()
    torch.save(storage, file, _use_new_zipfile_serialization=False)
    blob = Call(Global("torch.storage", "_load_from_bytes"), (file.getvalue(),))
    return Call(Global(kind.__module__, kind.__name__), (blob, *rest))


def _module():
    return persistent("Any", {"_parameters": {}, "_buffers": {}, "_modules": {}})


def _with_nodes(tensors, protocol=4):
    """Write a snapshot whose tensors may be any nodes."""
    root = _module()
    for name, value in tensors.items():
        module = root
        *path, leaf = name.split(".")
        for part in path:
            module = module.arguments[0]["state"]["_modules"].setdefault(part, _module())
        module.arguments[0]["state"]["_parameters"][leaf] = value
    return dumps({"G_ema": root}, Layout(protocol=protocol))


def test_a_storage_is_laid_out_so_that_torch_reads_it():
    flat = torch.randn(100)
    storage = torch.load(io.BytesIO(storage_blob(flat)), weights_only=True)
    assert torch.equal(torch.empty(0).set_(storage._untyped_storage, 0, (100,), (1,)), flat)


def test_tensors_may_share_a_storage(read):
    flat = torch.arange(24.0)
    shared = Call(Global("torch.storage", "_load_from_bytes"), (storage_blob(flat),))

    def view(offset, size, stride):
        arguments = (shared, offset, size, stride, False, OrderedDict())
        return Call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)

    tensors = tensors_of("eg3d")
    tensors |= {"decoder.net.0.weight": view(4, (2, 3), (3, 1)), "decoder.net.2.weight": view(0, (4, 2), (1, 4))}
    model = read(_with_nodes(tensors, 4))
    assert torch.equal(model.tensors["decoder.net.0.weight"], flat[4:10].view(2, 3))
    assert torch.equal(model.tensors["decoder.net.2.weight"], flat[:8].view(2, 4).T)


def test_buffers_outside_the_state_dict_stay_outside(read):
    data = write(attributes={"backbone.mapping": {"_non_persistent_buffers_set": {"w_avg"}}})
    assert "backbone.mapping.w_avg" not in read(data).tensors


def test_a_reference_that_leads_nowhere_stays_and_is_reported(read):
    config = CONFIG | {"more": "${not.there}"}
    model = read(write("epigraf", config=config))
    assert model.config["more"] == "${not.there}"
    assert "not.there" in model.warnings[0]


def test_references_chain_and_loops_end(read):
    model = read(write("epigraf", config=CONFIG | {"depth": "${model.generator.c_dim}"}))
    assert model.config["depth"] == 3
    with pytest.raises(CheckpointError, match="without end"):
        read(write("epigraf", config=CONFIG | {"a": "${model.generator.b}", "b": "${model.generator.a}"}))


def test_unknown_names_are_refused_by_name_or_replaced_on_request(read):
    extra = {"": {"extra": Instance(Global("fork.modules", "Sparkle"), state={"x": 1})}}
    data = write(attributes=extra)
    with pytest.raises(CheckpointError, match=r"fork\.modules\.Sparkle.*allow_unknown=True"):
        read(data)
    model = read(data, allow_unknown=True)
    assert same(model.tensors, tensors_of("eg3d"))
    assert model.warnings == ["fork.modules.Sparkle was replaced by an inert placeholder"]


def test_modules_of_a_fork_are_walked_as_modules(read):
    weights = {"_parameters": {"weight": torch.ones(2)}, "_buffers": {}, "_modules": {}}
    fork = Instance(Global("fork.modules", "Extra"), state=weights)
    data = write(attributes={"decoder": {"_modules": {"net": _net(), "extra": fork}}})
    model = read(data, allow_unknown=True)
    assert torch.equal(model.tensors["decoder.extra.weight"], torch.ones(2))
    assert model.classes["decoder.extra"] == "Extra"


def _net():
    return Instance(
        Global("torch.nn.modules.container", "Sequential"), state={"_parameters": {"weight": torch.ones(1)}}
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["synthesis.b4.const", "synthesis.b8.const", "mapping.w_avg"], "plain StyleGAN"),
        (["synthesis.L0_36_512.weight", "synthesis.input.freqs", "mapping.w_avg"], "plain StyleGAN"),
        (["synthesis.tri_plane_decoder.input.freqs", "mapping.mean_camera_pose"], "StyleGAN3"),
        (["synthesis.model.blocks.0.weight", "mapping.mean_camera_pose"], "pure MLP"),
        (["b4.conv.weight", "b8.conv.weight"], "is a discriminator"),
        (["backbone.synthesis.b4.const"], "no known family completely"),
        (["synthesis.tri_plane_decoder.b4.const"], "no known family completely"),
        (["encoder.weight"], "with parts encoder matches no known family"),
        ([], "without any tensor"),
    ],
)
def test_other_networks_are_refused_with_what_they_are_and_what_is_supported(read, keys, message):
    with pytest.raises(CheckpointError, match=message) as refusal:
        read(official_bytes("eg3d", {}, {key: torch.ones(2) for key in keys}, layout=Layout(only_ema=True)))
    assert message == "is a discriminator" or "EG3D, EpiGRAF, 3DGP, StyleNeRF and VolumeGAN" in str(refusal.value)


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        ({"D": persistent("D", {"_modules": {}}), "augment_pipe": None}, "a discriminator only"),
        ({"G": persistent("G", {"_modules": {}})}, "no network G_ema"),
        ({"G_ema": None, "D": None, "G": None}, "no network G_ema"),
        ({"G_ema": {"a": 1}}, "its G_ema is .*, which is no network"),
        ({"G_ema": 1}, "its G_ema is 1, which is no network"),
        ({"G_ema": persistent("Generator", {})}, "its G_ema is .*Generator, which is no network"),
        ([1, 2], "no training snapshot"),
        ((None, None, None), "TensorFlow"),
        (Instance(Global("dnnlib.tflib.network", "Network")), "TensorFlow"),
        ({}, "holds nothing"),
    ],
)
def test_other_pickles_are_refused(read, snapshot, message):
    with pytest.raises(CheckpointError, match=message):
        read(dumps(snapshot))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 and so on", "directory at the end of the ZIP archive is missing"),
        (b"<html>not found</html>", "no pickle"),
        (pickle.dumps({"a": 1}, protocol=0), "no pickle of protocol 2"),
        (b"\x80\x06.", "protocol 6"),
        (b"\x80\x04", "cut short"),
    ],
)
def test_other_files_are_refused(read, data, message):
    with pytest.raises(CheckpointError, match=message):
        read(data)


def test_bytes_after_the_end_of_the_pickle_are_refused_without_being_read(tmp_path):
    path = tmp_path / "network.pkl"
    path.write_bytes(write())
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 2**36)  # takes no place on the disk, and minutes to hash
    with pytest.raises(CheckpointError, match="68,719,476,736 bytes follow the end of the pickle"):
        read_official(path)


def test_weights_that_are_not_finite_are_refused_by_name(read):
    tensors = tensors_of("eg3d") | {"decoder.net.0.weight": torch.tensor([1.0, float("nan")])}
    with pytest.raises(CheckpointError, match=r"decoder\.net\.0\.weight holds NaN"):
        read(official_bytes("eg3d", KWARGS, tensors))


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="no file"):
        read_official(tmp_path / "nothing.pkl")
    assert not is_pickle(tmp_path / "nothing.pkl")
    assert not is_pickle(tmp_path)


@pytest.mark.slow
def test_warnings_are_counted_and_few(tmp_path):
    tensors = {"synthesis.tri_plane_decoder.b4.const": torch.ones(2), "mapping.mean_camera_params": torch.ones(5)}
    lost = {f"lost{i}": "${no.such.place}" for i in range(900)}
    others = {f"other{i}": f"${{nowhere.n{i}}}" for i in range(100)}
    path = tmp_path / "network.pkl"
    path.write_bytes(official_bytes("threedgp", {}, tensors, config={**lost, **others}))
    warnings = read_official(path).warnings
    assert warnings[0] == "the configuration refers to no.such.place, which is not there (900 times)"
    assert len(warnings) == 21
    assert warnings[-1] == "and 81 more warnings of these kinds"


def test_a_failure_nobody_foresaw_is_a_refusal(tmp_path, monkeypatch):
    path = tmp_path / "network.pkl"
    path.write_bytes(valid_files()[0])
    assert read_official(path).family == "eg3d"
    for error in (RecursionError("deep"), MemoryError(), OverflowError("big"), KeyError("\x1b[2J"), ValueError("bad")):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("gen3d_tools.checkpoints.official.identify", fail)
        with pytest.raises(CheckpointError, match="damaged or hostile") as caught:
            read_official(path)
        assert str(caught.value).isprintable()


def test_keys_that_are_no_names_are_never_written_out(read):
    """A table whose key is an object nested many times over would make a text without end."""
    key = ("x",)
    for _ in range(30):
        key = (key, key)
    strange = Instance(Global("torch", "device"), state=key)
    kwargs = {"z_dim": 8, "w_dim": {1: 2, None: 3}, "extra": {strange: 1}}
    model = read(official_bytes("eg3d", kwargs, tensors_of("eg3d"), attributes={"backbone": {"odd": {strange: 1}}}))
    assert model.init_kwargs == {"z_dim": 8, "w_dim": {"1": 2, "None": 3}}
    assert model.attributes["backbone"] == {}
