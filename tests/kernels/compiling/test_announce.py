"""Compiling is announced once, and only when there is something to compile."""

import logging

import pytest

from gen3d_tools.kernels.compiling import announce as choice


@pytest.fixture(autouse=True)
def nothing_was_said():
    choice.say_once.cache_clear()


class Kernel:
    """As much of a compiled function as the announcement looks at."""

    def __init__(self, folder, signatures=()):
        self.py_func = test_a_kernel_to_be_compiled_is_announced_once
        self.stats = type("Stats", (), {"cache_path": None if folder is None else str(folder)})()
        self.signatures = list(signatures)


def announced(caplog, kernel):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="gen3d_tools"):
        choice.announce(kernel)
    return len(caplog.records)


def test_a_kernel_to_be_compiled_is_announced_once(tmp_path, caplog):
    kernel = Kernel(tmp_path)
    assert announced(caplog, kernel) == 1
    assert announced(caplog, kernel) == 0


def test_all_kernels_are_announced_together(tmp_path, caplog):
    assert [announced(caplog, Kernel(tmp_path)) for _ in range(3)] == [1, 0, 0]


def test_a_kernel_on_disk_or_compiled_already_is_not(tmp_path, caplog):
    assert announced(caplog, Kernel(tmp_path, signatures=["float32"])) == 0
    (tmp_path / "test_announce.test_a_kernel_to_be_compiled_is_announced_once-12.py311.nbc").touch()
    assert announced(caplog, Kernel(tmp_path)) == 0


def test_a_kernel_that_cannot_be_kept_says_what_to_do(caplog):
    assert announced(caplog, Kernel(None)) == 1
    assert "NUMBA_CACHE_DIR" in caplog.text
    assert announced(caplog, Kernel(None, signatures=["float32"])) == 0
