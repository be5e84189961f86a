"""`gen3d classes` end to end: what can be typed for --class."""

from dataclasses import replace

import pytest


def test_index_and_name_line_by_line(gen3d, tiny_folder):
    result = gen3d("classes", tiny_folder)
    assert (result.out, result.err) == ("0  ball\n1  cube\n", "")


def test_json_is_one_object(gen3d, tiny_folder):
    record = gen3d("classes", tiny_folder, "--json").json
    assert record["classes"] == [{"index": 0, "name": "ball"}, {"index": 1, "name": "cube"}]


@pytest.fixture
def unconditional(tiny_generator, tmp_path):
    from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator

    config = replace(tiny_generator.config, num_classes=0)
    GeometryAwareGenerator(config, replace(tiny_generator.settings, class_names=())).save(tmp_path / "plain")
    return "plain"


def test_an_unconditional_model_has_none(gen3d, unconditional):
    result = gen3d("classes", unconditional)
    assert (result.code, result.out) == (0, "")
    assert "unconditional" in result.err
    assert gen3d("classes", unconditional, "--json").json["classes"] == []
    assert "none (unconditional)" in gen3d("info", unconditional).out


def test_an_unknown_model_is_exit_code_3(gen3d):
    result = gen3d("classes", "nothing-like-it")
    assert result.code == 3
    assert "no model 'nothing-like-it'" in result.error
