"""`gen3d models` end to end: what can be typed for MODEL here."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bundled(tiny_folder, tmp_path_factory, monkeypatch):
    """Pretend that the package carries one model, `orbs`."""
    from gen3d_tools.generators import source
    from gen3d_tools.workflows import describe

    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("weights") / "orbs")
    for module in (source, describe):
        monkeypatch.setattr(module, "bundled_models", lambda: {"orbs": folder})
    return folder


def sources(gen3d):
    return [line["source"] for line in gen3d("models", "--json").json["models"]]


def test_bundled_models_come_first_then_models_then_here(gen3d, bundled, tiny_folder):
    for place in ("here", "models/ours", "models/org/theirs", "deep/down/unseen"):
        shutil.copytree(tiny_folder, place)
    assert sources(gen3d) == ["orbs", "models/ours", "models/org/theirs", "here"]


def test_every_source_listed_can_be_loaded(gen3d, bundled, tiny_folder):
    shutil.copytree(tiny_folder, "models/ours")
    for source in sources(gen3d):
        assert gen3d("classes", source).code == 0


def test_a_model_is_listed_once(gen3d, bundled, tiny_folder):
    shutil.copytree(tiny_folder, "models/ours")
    Path("link").symlink_to("models/ours")
    Path("bundled").symlink_to(bundled)
    assert sources(gen3d) == ["orbs", "models/ours"]


def test_configs_of_other_programs_are_passed_over(gen3d, bundled):
    for name, text in (("bert", '{"model_type": "bert"}'), ("list", "[]"), ("broken", "{"), ("binary", "\xff")):
        Path(name).mkdir()
        Path(name, "config.json").write_bytes(text.encode("latin-1"))
    assert sources(gen3d) == ["orbs"]


def test_json_has_what_one_chooses_by(gen3d, bundled, tiny_generator):
    [line] = gen3d("models", "--json").json["models"]
    assert line == {
        "source": "orbs",
        "family": "geometry_aware",
        "classes": 2,
        "parameters": tiny_generator.num_parameters(),
        "size_bytes": sum(file.stat().st_size for file in bundled.iterdir()),
        "licence": "Apache-2.0",
        "problem": "",
    }


def test_people_get_a_table_and_how_to_add_more(gen3d, bundled, tiny_generator):
    result = gen3d("models")
    header, row = result.out.splitlines()
    assert header.split() == ["model", "family", "classes", "parameters", "size", "licence"]
    assert row.split()[:4] == ["orbs", "geometry_aware", "2", f"{tiny_generator.num_parameters():,}"]
    assert "config.json" in result.err
    assert "Hugging Face id" in result.err


def test_quiet_leaves_the_hint_out(gen3d, bundled):
    result = gen3d("models", "-q")
    assert "orbs" in result.out
    assert result.err == ""


def test_a_broken_model_is_listed_with_what_is_wrong(gen3d, bundled, tiny_folder):
    shutil.copytree(tiny_folder, "models/broken")
    Path("models/broken/model.safetensors").write_bytes(b"short")
    result = gen3d("models", "-q")
    assert result.code == 0
    assert "broken" not in result.out
    assert "cannot be used" in result.error
    problem = gen3d("models", "--json").json["models"][1]["problem"]
    assert "corrupt or cut short" in problem


def test_nothing_to_list_is_no_failure(gen3d, monkeypatch):
    from gen3d_tools.workflows import describe

    monkeypatch.setattr(describe, "bundled_models", dict)
    result = gen3d("models")
    assert (result.code, result.out) == (0, "")
    assert "Hugging Face id" in result.err


def test_families_are_listed_with_what_to_know_before_their_weights_are_there(gen3d):
    from gen3d_tools.generators.loading import FAMILIES

    told = gen3d("models", "--families", "--json").json
    assert {facts["family"] for facts in told["families"]} == set(FAMILIES)
    for facts in told["families"]:
        assert all(facts[name] for name in ("name", "paper", "licence", "weights", "works"))
        assert "://" not in "".join(facts.values())
    shown = gen3d("models", "--families")
    assert shown.code == 0
    assert "volumegan_*.pth" in shown.out
    assert "nothing 3-D in them to export" in " ".join(shown.err.split())
