"""Compiled kernels are loaded from folders of this user alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.kernels.compiling.cache_folder import is_trusted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX systems")
STRANGER = 54321


@pytest.fixture
def place(tmp_path):
    """A folder for kernels below one of ours, and a module."""
    folder, source = tmp_path / "cache" / "kernels", tmp_path / "module.py"
    folder.mkdir(parents=True)
    source.touch()
    is_trusted.cache_clear()
    return folder, source


def test_a_folder_of_ours_is_trusted_and_one_that_everybody_writes_to_is_not(place, caplog):
    folder, source = place
    assert is_trusted(folder, source)
    folder.parent.chmod(0o1777)  # like /tmp
    is_trusted.cache_clear()
    assert is_trusted(folder, source)
    for one, mode in ((folder.parent, 0o777), (folder, 0o1777)):
        one.chmod(mode)
        is_trusted.cache_clear()
        assert not is_trusted(folder, source)
        one.chmod(0o755)
    assert caplog.text.count("everybody may write there") == 2


def test_where_the_programs_own_compiled_modules_lie_kernels_may_lie_too(place):
    _, source = place
    cache = source.parent / "__pycache__"
    cache.mkdir()
    cache.chmod(0o777)
    assert is_trusted(cache, source)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_another_user_is_not_trusted_unless_the_program_is_theirs_too(place, caplog):
    folder, source = place
    for one in (folder, folder.parent):
        os.chown(one, STRANGER, -1)
        is_trusted.cache_clear()
        assert not is_trusted(folder, source)
        os.chown(source, STRANGER, -1)
        is_trusted.cache_clear()
        assert is_trusted(folder, source)
        os.chown(source, 0, -1)
        os.chown(one, 0, -1)
    assert f"belongs to another user ({STRANGER})" in caplog.text


@pytest.mark.slow
def test_a_kernel_is_neither_read_from_nor_kept_in_a_folder_that_is_not_trusted(tmp_path):
    module = tmp_path / "one_kernel.py"
    module.write_text(
        "import logging\nlogging.basicConfig()\n"
        "from gen3d_tools.kernels.compiling.compiled import compiled\n"
        "@compiled()\ndef twice(x):\n    return 2 * x\n"
        "print(twice(4.0))\n"
    )
    shared = tmp_path / "shared"
    shared.mkdir()
    environment = os.environ | {"NUMBA_CACHE_DIR": str(shared), "PYTHONPATH": str(Path(__file__).parents[2])}
    for mode, kept in ((0o777, False), (0o700, True)):
        shared.chmod(mode)
        done = subprocess.run([sys.executable, module], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "8.0\n"
        assert ("are not loaded from" in done.stderr) == (not kept)
        assert bool([*shared.rglob("*.nbi")]) == kept
