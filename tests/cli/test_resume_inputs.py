"""A batch that is resumed is the same work only if what it reads is the same: files by content, models, classes."""

import json
import shutil
from pathlib import Path

import pytest

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import write_transforms
from gen3d_tools.workflows.running.inputs import input_digest

VIEWS = 3
LIGHT = ("--include", "none", "--size", 8, "--views", VIEWS)
DATASET = (*LIGHT, "--class", "all", "-q")


def write_cameras(pitch):
    cameras = Camera.from_spherical([0.0, 20.0, 40.0], pitch, 2.7, fov_y_deg=20)
    names = [f"{index}.png" for index in range(VIEWS)]
    write_transforms("cameras.json", cameras, width=8, height=8, names=names, overwrite=True)
    write_colmap("colmap", cameras, width=8, height=8, names=names, overwrite=True)


def forget(record, *keys):
    """Make a record that of a version which did not keep some options."""
    content = json.loads(Path(record).read_text())
    content["options"] = {key: value for key, value in content["options"].items() if key not in keys}
    Path(record).write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["cameras.json", "colmap", "colmap/cameras.txt"])
def test_pictures_from_other_cameras_are_not_mixed_under_one_name_of_a_file(gen3d, tiny_folder, path):
    write_cameras(10)
    command = ("dataset", tiny_folder, *DATASET, "--cameras", "path", "--path", path, "-o", "out")
    assert gen3d(*command, "--seeds", 0).code == 0
    assert gen3d(*command, "--seeds", "0-1", "--resume").code == 0
    write_cameras(30)
    refused = gen3d(*command, "--seeds", "0-2", "--resume")
    assert refused.code == 2
    assert "were made with different path file" in refused.error
    forget("out/run.json", "path_sha256")
    assert gen3d(*command, "--seeds", "0-1", "--resume").code == 0


def test_an_input_is_known_by_all_that_is_read_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert input_digest(None) is None
    assert input_digest("35,22") is None
    write_cameras(10)
    first = [input_digest(name) for name in ("cameras.json", "colmap", "colmap/cameras.txt")]
    write_cameras(30)
    second = [input_digest(name) for name in ("cameras.json", "colmap", "colmap/cameras.txt")]
    assert first[1] == first[2]
    assert None not in first
    assert not set(first) & set(second)


@pytest.fixture
def model(tiny_folder, tmp_path):
    """A model whose two classes have names that give one name of a file."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    change(folder, class_names=["a b", "a_b"])
    return folder


def change(model, **settings):
    path = Path(model) / "config.json"
    config = json.loads(path.read_text())
    assert set(settings) <= set(config)
    path.write_text(json.dumps(config | settings))


@pytest.mark.slow
@pytest.mark.parametrize("extra", [("sample", "--size", 8), ("dataset", *LIGHT)])
def test_a_class_is_not_taken_for_another_whose_files_have_the_same_names(gen3d, model, extra):
    command = (extra[0], model, *extra[1:], "-q", "-o", "out/")
    assert gen3d(*command, "--class", 0, "--seeds", "0-1").code == 0
    refused = gen3d(*command, "--class", 1, "--seeds", "0-1", "--resume")
    assert refused.code == 2
    assert "are of other samples, whose files have the same names" in refused.error
    assert gen3d(*command, "--class", 0, "--seeds", "0-2", "--resume").code == 0


@pytest.mark.slow
def test_pictures_of_a_model_whose_config_has_changed_are_not_mixed_with_those_of_before(gen3d, model):
    command = ("sample", model, "--class", 0, "--size", 8, "-q", "-o", "out/")
    assert gen3d(*command, "--seeds", "0-1").code == 0
    change(model, class_names=["a b", "c"])
    refused = gen3d(*command, "--seeds", "0-2", "--resume")
    assert refused.code == 2
    assert "were made with different model config file" in refused.error
    forget("out/run.json", "model_config_sha256")
    assert gen3d(*command, "--seeds", "0-2", "--resume").code == 0


@pytest.mark.slow
def test_features_of_a_model_whose_config_has_changed_are_not_taken_from_the_cache(gen3d, model, tmp_path):
    assert gen3d("sample", model, "--class", 0, "--seeds", "0-7", "--size", 8, "-q", "-o", "real/").code == 0
    command = ("eval", model, "--against", "real", "--samples", 4, "--cache", "kept", "-q")
    for classes in (["a", "b"], ["a", "b"], ["a", "c"]):
        change(model, class_names=classes)
        assert gen3d(*command).code == 0
    assert sum(path.name.startswith("samples") for path in Path("kept").iterdir()) == 2
