"""The command line as a whole, before any command runs."""

import json
import os
import subprocess
import sys

import pytest

from gen3d_tools.cli.app import let_threads_sleep


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_soon_sleep_unless_the_environment_says_otherwise(monkeypatch, environment, expected):
    monkeypatch.setattr(os, "environ", dict(environment))
    let_threads_sleep()
    assert os.environ == expected


def test_that_is_said_before_torch_is_imported():
    code = "import sys, gen3d_tools.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("info", "nothing-like-it", "--json"), 3, "no model 'nothing-like-it'"),
        (("sample", "shapes", "--json", "--nonsense"), 2, "No such option: --nonsense"),
        (("sample", "--json"), 2, "Missing argument"),
        (("mesh", "shapes", "--json", "--scale", "far"), 2, "scale is 'far'"),
    ],
)
def test_errors_are_json_where_json_is_asked_for(gen3d, arguments, code, said):
    done = gen3d(*arguments)
    assert (done.code, done.out) == (code, "")
    found = json.loads(done.err)
    assert found["exit_code"] == code
    assert said in found["error"]


@pytest.mark.parametrize(
    ("command", "usage"),
    [("sample", "[OPTIONS] MODEL"), ("invert", "[OPTIONS] PHOTO..."), ("info", "[OPTIONS] MODEL")],
)
def test_the_usage_names_arguments_as_manuals_do(gen3d, command, usage):
    [line] = [line.strip() for line in gen3d(command, "--help").out.splitlines() if "Usage" in line]
    assert line.endswith(usage)


def test_the_help_of_pictures_says_which_end_is_bright_and_in_which_axes(gen3d):
    for command in ("sample", "video"):
        told = " ".join(gen3d(command, "--help").out.replace("│", " ").split())
        assert "near is bright" in told
        assert "world x, y, z" in told
