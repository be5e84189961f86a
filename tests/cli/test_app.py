"""The command line as a whole, before any command runs."""

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
