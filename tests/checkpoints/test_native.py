"""Native checkpoints: round trips, and every way a folder can be wrong."""

import copy
import dataclasses
import os
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from gen3d_tools.checkpoints.native import open_tensors, read_config, read_layout, tensors_of
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.loading import choose_device, load_generator
from tests.support.model_folders import edit_config


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny model that a test may spoil."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_saved_and_loaded_is_the_same_generator(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path / "copy", card="# A model card\n")
    loaded = load_generator(tmp_path / "copy", device="cpu")
    assert loaded.config == tiny_generator.config
    assert loaded.settings == tiny_generator.settings
    for name, tensor in tiny_generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert (tmp_path / "copy" / "README.md").read_text() == "# A model card\n"


def test_what_could_not_be_loaded_again_is_not_written(tiny_generator, tmp_path):
    unfit = copy.copy(tiny_generator)
    unfit.settings = dataclasses.replace(tiny_generator.settings, iso_level=float("inf"))
    with pytest.raises(CheckpointError, match="iso_level is inf"):
        unfit.save(tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_half_precision_halves_the_file_and_loads_as_float32(tiny_generator, tiny_folder, tmp_path):
    tiny_generator.save(tmp_path / "half", dtype=torch.float16)
    loaded = load_generator(tmp_path / "half")
    assert all(tensor.dtype == torch.float32 for tensor in loaded.state_dict().values())
    sizes = [(path / "model.safetensors").stat().st_size for path in (tmp_path / "half", tiny_folder)]
    assert sizes[0] < 0.6 * sizes[1]


def test_loaded_generators_need_no_gradients(tiny_folder):
    assert not any(parameter.requires_grad for parameter in load_generator(tiny_folder).parameters())


def test_an_existing_folder_is_kept_unless_overwritten(tiny_generator, folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        tiny_generator.save(folder)
    assert (folder / "config.json").read_bytes() == before
    tiny_generator.save(folder, overwrite=True)
    assert load_generator(folder).config == tiny_generator.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(wings=1), "unknown key wings"),
        (lambda c: c.pop("licence"), "missing key licence"),
        (lambda c: c["network"].update(wings=1), "unknown key wings"),
        (lambda c: c["network"].pop("z_dim"), "missing key z_dim"),
        (lambda c: c["rendering"].update(wings=1), "rendering: unknown key wings"),
        (lambda c: c["rendering"].update(near=4.0), "near < far"),
        (lambda c: c["cameras"].pop("default"), "missing key default"),
        (
            lambda c: c["cameras"].update(default=c["cameras"]["distribution"]),
            r"cameras\.default is a table of \d, it must be a table whose kind is one of fixed",
        ),
        (lambda c: c.update(format="other"), "no gen3d-tools model"),
        (lambda c: c.update(version=99), "format version 99"),
        (lambda c: c.update(family="dreams"), "unknown family 'dreams'"),
        (lambda c: c.update(iso_level=-1), "iso_level is -1"),
        (lambda c: c.update(iso_level=10**400), "a whole number of 401 digits"),
        (lambda c: c.update(iso_level=float("inf")), "Infinity is no number of JSON"),
        (lambda c: c.update(class_names=["a", 2]), r"class_names\[1\] is 2, it must be a text"),
        (lambda c: c.update(class_names=["a"]), "holds 1 names"),
        (lambda c: c.update(network=[]), "network is"),
        (lambda c: c["network"].update(w_dim=32), "the config asks for"),
        (lambda c: c["network"].update(plane_resolution=24), "power of two"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder, change, message):
    edit_config(folder, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_generator(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_a_config_that_is_not_json_is_refused(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError):
        load_generator(folder)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_tensors_are_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="corrupt or cut short"):
        load_generator(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names, or turn them into others")
def test_a_folder_whose_name_is_no_text_is_to_be_renamed(folder):
    strange = folder.rename(folder.parent / os.fsdecode(b"mod\xe8le"))
    with pytest.raises(CheckpointError, match=r"mod.*le.model.safetensors cannot be .* not valid UTF-8; rename it"):
        load_generator(strange)


def test_tensors_must_fit_the_config_exactly(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    taken = tensors.pop("decoder.net.0.bias")
    save_file(tensors | {"decoder.net.0.bass": taken}, path)
    with pytest.raises(CheckpointError, match=r"decoder\.net\.0\.bias is missing; decoder\.net\.0\.bass is unknown"):
        load_generator(folder)


def test_tensors_with_nan_are_refused_by_name(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["decoder.net.0.weight"][0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"decoder\.net\.0\.weight holds NaN"):
        load_generator(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(NotFoundError, match=f"holds no {name}"):
        load_generator(folder)


def test_an_unknown_model_gets_a_suggestion():
    with pytest.raises(NotFoundError, match="no model 'nonsense'"):
        load_generator("nonsense")


def test_a_file_is_not_a_model_folder(folder):
    with pytest.raises(CheckpointError, match="is a file; a model is a folder"):
        load_generator(folder / "config.json")


def test_offline_the_hub_says_so(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(NotFoundError, match=r"hub cannot be reached \(offline\?\)"):
        load_generator("someone/some-model")


def test_a_hub_repository_is_a_folder_in_its_cache(monkeypatch, tiny_folder):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **kwargs: str(tiny_folder))
    assert load_generator("someone/some-model").class_names == ("ball", "cube")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "teapot", "meta", ""])
def test_a_device_that_is_not_here_is_refused(device):
    with pytest.raises(InputError, match="not available here"):
        choose_device(device)


def test_layout_has_names_shapes_and_precision_without_values(tiny_generator, folder):
    layout = read_layout(folder)
    expected = tiny_generator.state_dict()
    assert {name: tensor.shape for name, tensor in layout.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    assert {tensor.precision for tensor in layout.values()} == {"float32"}


def test_layout_names_a_precision_that_is_not_ours(folder):
    path = folder / "model.safetensors"
    save_file({"numbers": torch.zeros(3, dtype=torch.int64)}, path)
    with pytest.raises(CheckpointError, match="type I64"):
        read_layout(folder)


def test_a_device_may_be_written_in_capitals():
    assert choose_device("CPU") == torch.device("cpu")


def test_tensors_that_are_read_lie_where_torch_would_have_put_them(tmp_path):
    written = {"a": torch.arange(3.0), "b": torch.arange(5), "c": torch.arange(7.0).half(), "d": torch.ones(2, 3)}
    path = tmp_path / "some.safetensors"
    path.write_bytes(save(written))
    with open_tensors(path) as file:
        assert any(file.get_tensor(name).data_ptr() % 64 for name in written)  # a file packs them
        read = tensors_of(file)
    assert {name: one.data_ptr() % 64 for name, one in read.items()} == dict.fromkeys(written, 0)
    assert all(torch.equal(read[name], one) for name, one in written.items())


def test_a_folder_around_a_model_folder_names_it(tmp_path):
    inner = tmp_path / "run" / "latest"
    inner.mkdir(parents=True)
    with pytest.raises(NotFoundError, match=r"a model folder has config\.json and model\.safetensors"):
        read_config(tmp_path / "run")
    (inner / "config.json").write_text("{}")
    with pytest.raises(NotFoundError, match=r"run holds no config.json; that in it is .*latest: give this"):
        read_config(tmp_path / "run")
