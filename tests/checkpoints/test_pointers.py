"""Clones without git-lfs: whichever file of weights is a pointer, the message says so and names the command."""

import shutil

import pytest

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.perception.perceptual import TorchScriptFeatures

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7729312\n"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pointer_in_a_model_folder_is_named(tiny_folder, tmp_path, name):
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    (tmp_path / "tiny" / name).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=rf"{name} is a git-lfs pointer.*git lfs pull"):
        load_generator(tmp_path / "tiny")


@pytest.mark.parametrize("read", [read_official, load_generator, TorchScriptFeatures])
def test_a_pointer_in_place_of_a_single_file_is_named(tmp_path, read):
    (tmp_path / "network.pkl").write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=r"network\.pkl is a git-lfs pointer.*git lfs pull"):
        read(tmp_path / "network.pkl")
