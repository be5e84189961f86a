"""What a model folder says about itself reaches the terminal escaped and shortened, whichever command prints it."""

import json
import shutil

import pytest

NASTY = "\x1b[2J\x1b]0;owned\x07\nsecond line\u202e[bold]" + "x" * 9000


@pytest.fixture
def model(tiny_folder, tmp_path):
    """A model with hostile texts wherever texts belong, in the working folder."""
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["class_names"] = [NASTY[:900], "ball"]
    config["licence"] = NASTY
    config["provenance"] = {NASTY: NASTY, "table": {NASTY: [NASTY]}}
    path.write_text(json.dumps(config))
    return folder


def check(text):
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert max(map(len, text.splitlines())) < 2500


@pytest.mark.parametrize("command", ["info model", "classes model", "models", "sample model --size 8 --class nothing"])
def test_no_command_prints_what_a_terminal_would_obey(gen3d, model, command):
    result = gen3d(*command.split())
    check(result.out + result.err)


def test_a_model_with_such_texts_is_used_all_the_same(gen3d, model, tmp_path):
    result = gen3d("sample", "model", "--size", "8", "--class", "0", "--seeds", "1", "-o", "a.png")
    assert result.code == 0
    check(result.out + result.err)
    for change, words in (({"family": NASTY[:90]}, "unknown family"), ({"version": NASTY}, "has format version")):
        path = model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        refused = gen3d("info", "model")
        assert refused.code == 4
        assert words in refused.error
        check(refused.err)


def test_log_messages_are_escaped_too(gen3d, monkeypatch, tiny_generator, capsys):
    import logging

    from gen3d_tools.cli.terminal.console import set_verbosity

    set_verbosity(quiet=False, verbose=False)
    logging.getLogger("gen3d_tools.tests").warning("%s is %s", "file\nname", NASTY)
    check(capsys.readouterr().err)
