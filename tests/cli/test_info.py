"""`gen3d info` end to end: everything about a model, without its weights."""

import hashlib
import json
import shutil

import pytest
import torch

from tests.support.model_folders import edit_config


@pytest.fixture
def model(tiny_folder, tmp_path):
    """A copy of the tiny model in the working folder, that a test may spoil."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_json_holds_the_whole_config_and_what_lies_on_disk(gen3d, model, tiny_generator):
    result = gen3d("info", "model", "--json")
    assert (result.code, result.err) == (0, "")
    record = result.json
    config = json.loads((model / "config.json").read_text())
    for section in ("family", "network", "rendering", "cameras", "iso_level", "class_names", "provenance", "licence"):
        assert record[section] == config[section]
    assert record["name"] == "model"
    assert record["parameters"] == tiny_generator.num_parameters()
    assert record["precision"] == "float32"
    assert record["size_bytes"] == sum(file.stat().st_size for file in model.iterdir())
    assert record["sha256"] == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def test_people_get_a_table_on_stdout(gen3d, model, tiny_generator):
    edit_config(model, lambda config: config["provenance"].update(source="a [bold] kiln"))
    result = gen3d("info", model)
    assert result.err == ""
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert rows["family"] == "geometry_aware"
    assert rows["classes"] == "2: ball, cube"
    assert rows["parameters"] == f"{tiny_generator.num_parameters():,}"
    assert rows["scene"] == "3 planes of 16 x 16, 4 channels each"
    assert rows["iso-level"].startswith("10 ")
    assert rows["licence"] == "Apache-2.0"
    assert rows["provenance"] == "source a [bold] kiln"
    assert len(rows["sha256"]) == 64
    assert "default view         fixed: yaw 35°, pitch 22°, radius 2.7, fov 20°, target (0, 0, 0)" in result.out
    assert "cameras in training  uniform sphere: yaw -180° to 180°, pitch -10° to 60°" in result.out
    assert "trusted views        yaw -180° to 180°, pitch -90° to 90°" in result.out
    assert "box side             1 world units" in result.out
    assert "12 + 8 samples per ray, midpoint marcher, background white" in result.out


def test_half_precision_is_named(gen3d, tiny_generator, tmp_path):
    tiny_generator.save(tmp_path / "half", dtype=torch.float16)
    assert gen3d("info", "half", "--json").json["precision"] == "float16"


def test_rays_through_the_box_are_said_so(gen3d, model):
    edit_config(model, lambda config: config["rendering"].update(near="box", far="box"))
    assert "rays through the box" in gen3d("info", model).out


def test_whether_tensors_fit_the_config_is_for_those_who_load_them(gen3d, model):
    edit_config(model, lambda config: config["network"].update(decoder_hidden=[8, 9]))
    assert gen3d("info", "model", "--json").json["network"]["decoder_hidden"] == [8, 9]
    result = gen3d("sample", "model", "--seeds", "0")
    assert result.code == 4
    assert "tensors do not fit the config" in result.error


def test_long_lists_of_classes_are_cut_for_people_only(gen3d, tiny_generator, tmp_path):
    from dataclasses import replace

    from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator

    names = tuple(f"thing-{index}" for index in range(30))
    config = replace(tiny_generator.config, num_classes=30)
    settings = replace(tiny_generator.settings, class_names=names)
    GeometryAwareGenerator(config, settings).save(tmp_path / "wide")
    assert "30: thing-0, " in (shown := gen3d("info", "wide").out)
    assert "thing-19 and 10 more" in shown
    assert "thing-20" not in shown
    assert gen3d("info", "wide", "--json").json["class_names"] == list(names)


def test_no_weights_are_read(gen3d, model, monkeypatch):
    from gen3d_tools.checkpoints import native
    from gen3d_tools.generators import loading

    monkeypatch.setattr(native, "read_tensors", None)
    monkeypatch.setattr(loading, "read_tensors", None)
    assert gen3d("info", model).code == 0


def test_a_cut_file_is_exit_code_4(gen3d, model):
    tensors = model / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    result = gen3d("info", model)
    assert result.code == 4
    assert "corrupt or cut short" in result.error


def test_missing_tensors_are_exit_code_3(gen3d, model):
    (model / "model.safetensors").unlink()
    result = gen3d("info", model)
    assert result.code == 3
    assert "holds no model.safetensors" in result.error


def test_an_unknown_key_is_exit_code_4(gen3d, model):
    edit_config(model, lambda config: config["network"].update(wings=2))
    result = gen3d("info", model)
    assert result.code == 4
    assert "unknown key wings" in result.error


def test_an_unknown_model_is_exit_code_3(gen3d):
    result = gen3d("info", "nothing-like-it")
    assert result.code == 3
    assert "no model 'nothing-like-it'" in result.error


def test_ctrl_c_is_exit_code_130(gen3d, model, monkeypatch):
    from gen3d_tools.workflows import describe

    def stop(source):
        raise KeyboardInterrupt

    monkeypatch.setattr(describe, "find_source", stop)
    result = gen3d("info", model)
    assert result.code == 130
    assert "interrupted" in result.error
