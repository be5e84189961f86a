"""A result is followed to no model but a bundled one, one beside it, or the one that --base names."""

import pytest

from tests.fuzz.formats.checkpoints import results


@pytest.fixture
def result(tmp_path):
    """A result in the working folder, whose model stands elsewhere."""
    [files] = results()
    for name, data in files.items():
        path = tmp_path / name.replace("tiny/", "elsewhere/tiny/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return "result"


@pytest.mark.parametrize("command", ["info {}", "classes {}", "sample {} --size 8 -o a.png", "mesh {} -r 16 -o a.ply"])
def test_the_message_names_the_option_that_helps(gen3d, result, command):
    refused = gen3d(*command.format(result).split())
    assert refused.code == 3
    assert "was tuned from the model 'tiny', which is neither bundled nor beside the result" in refused.error
    assert "--base" in refused.error
    done = gen3d(*command.format(result).split(), "--base", "elsewhere/tiny")
    assert done.code == 0, done.err


def test_the_next_command_that_is_suggested_names_the_base_too(gen3d, result):
    done = gen3d("sample", result, "--size", "8", "-o", "a.png", "--base", "elsewhere/tiny")
    assert "gen3d video result --base elsewhere/tiny" in done.err


def test_a_base_for_a_model_is_a_slip(gen3d, result):
    assert gen3d("info", "elsewhere/tiny", "--base", "shapes").code == 2
    assert gen3d("info", result, "--base", "shapes").code == 4


def test_the_object_from_the_photo_has_no_seed_to_truncate(gen3d, result):
    refused = gen3d("sample", result, "--psi", ".5", "--base", "elsewhere/tiny", "-o", "a.png")
    assert refused.code == 2
    assert "the object from the photo has no seed: leave --psi out, or add --seeds" in refused.error
    assert gen3d("sample", result, "--psi", ".5", "--seeds", "1", "--size", "8", "--base", "elsewhere/tiny").code == 0
