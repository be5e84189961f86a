"""What the shell completes, asked as bash asks."""

import sys

import pytest

from gen3d_tools.cameras.paths import PATHS
from gen3d_tools.cli.terminal import completion
from gen3d_tools.inversion.presets import PRESETS


@pytest.fixture
def complete(gen3d, monkeypatch, capsys):
    from gen3d_tools.cli.app import main

    def ask(typed: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["gen3d"])
        monkeypatch.setenv("_GEN3D_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        return capsys.readouterr().out.split()

    return ask


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("gen3d sample sha", ["shapes"]),
        ("gen3d sample shapes --class m", ["mug", "mushroom"]),
        ("gen3d mesh shapes -r 64 -c car,mu", ["car,mug", "car,mushroom"]),
        ("gen3d invert photo.jpg --class ro", ["rocket"]),
        ("gen3d invert photo.jpg --preset b", ["balanced", "best"]),
        ("gen3d video shapes --path front", ["front-circle"]),
        ("gen3d sample nothing-like-it --class m", []),
    ],
)
def test_values_are_completed(complete, typed, found):
    assert complete(typed) == found


def test_model_folders_and_camera_files_are_completed_too(complete, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "other.pkl").touch()
    (tmp_path / "only.txt").touch()
    (tmp_path / "own" / "path.json").touch()
    assert complete("gen3d info o") == ["other.pkl", "own/"]
    assert complete("gen3d video shapes --path own/p") == ["own/path.json"]


def test_the_names_are_those_that_commands_take():
    assert {name.replace("-", "_") for name in completion.PATHS} == set(PATHS)
    assert set(completion.PRESETS) == set(PRESETS)
