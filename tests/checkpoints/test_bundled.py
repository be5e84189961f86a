import json
from pathlib import Path

import pytest

from gen3d_tools.checkpoints import bundled


def put_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "gen3d_tools"
    folder.mkdir()
    monkeypatch.setattr(bundled, "PACKAGE_FOLDER", folder)
    return folder


def test_an_installed_package_finds_the_models_inside_itself(package):
    shapes = put_model(package / "_weights" / "shapes")
    assert bundled.bundled_models() == {"shapes": shapes}


def test_a_checkout_finds_the_models_beside_the_package(package):
    (package.parent / "pyproject.toml").touch()
    shapes = put_model(package.parent / "weights" / "shapes")
    assert bundled.bundled_models() == {"shapes": shapes}


def test_the_models_inside_the_package_go_first(package):
    (package.parent / "pyproject.toml").touch()
    put_model(package.parent / "weights" / "shapes")
    inside = put_model(package / "_weights" / "shapes")
    assert bundled.bundled_models() == {"shapes": inside}


def test_a_strangers_weights_folder_is_not_ours(package):
    put_model(package.parent / "weights" / "shapes")
    assert bundled.bundled_models() == {}


def test_only_folders_with_a_config_are_models_and_they_come_by_name(package):
    for name in ("b", "a"):
        put_model(package / "_weights" / name)
    (package / "_weights" / "half").mkdir()
    (package / "_weights" / "README.md").touch()
    assert list(bundled.bundled_models()) == ["a", "b"]


def test_this_copy_of_the_package_has_its_shapes():
    folder = bundled.bundled_models()["shapes"]
    assert json.loads((folder / "config.json").read_text())["family"]
    assert (folder / "model.safetensors").is_file()
