"""What is kept of an unfinished inversion, and what is said about it."""

import pytest

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.inversion.results import unfinished as module
from gen3d_tools.inversion.results.unfinished import MODEL_CONFIG, Unfinished


def test_what_is_kept_is_called_what_it_is(tmp_path, monkeypatch):
    def full(*_, **__):
        raise Gen3DError("the disk is full")

    kept = Unfinished(tmp_path / "result", {"seed": 1})
    assert "before there was anything to keep" in kept.keep({})
    assert "; the work so far is kept in" in kept.keep({"done": 1})
    monkeypatch.setattr(module, "atomic_path", full)
    assert "; an earlier state of the work is kept in" in kept.keep({"done": 2})
    assert kept.read() == {"done": 1}
    assert "could not be kept: the disk is full" in Unfinished(tmp_path / "other", {}).keep({"done": 1})


def test_a_state_is_of_one_config_of_the_model_unless_it_does_not_say(tmp_path):
    kept = Unfinished(tmp_path / "result", {"seed": 1, MODEL_CONFIG: "a"})
    kept.keep({"done": 1})
    assert kept.read() == {"done": 1}
    with pytest.raises(InputError, match="was begun with different model config; repeat that command"):
        Unfinished(tmp_path / "result", {"seed": 1, MODEL_CONFIG: "b"}).read()
    Unfinished(tmp_path / "result", {"seed": 1}).keep({"done": 2})  # as earlier versions did
    assert kept.read() == {"done": 2}


def test_a_file_of_others_outlives_the_state(tmp_path):
    kept = Unfinished(tmp_path / "result", {})
    kept.remove()  # nothing is there yet
    kept.keep({"done": 1})
    (kept.folder / "notes.txt").write_text("mine")
    kept.remove()
    assert [path.name for path in kept.folder.iterdir()] == ["notes.txt"]
    (kept.folder / "notes.txt").unlink()
    kept.keep({"done": 1})
    kept.remove()
    assert not kept.folder.exists()
