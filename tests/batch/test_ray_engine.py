"""Ray: whoever makes the pieces, and whatever is lost on the way, the files and the record are the same."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from gen3d_tools.batch import ray_engine
from gen3d_tools.batch.options import BatchOptions
from gen3d_tools.batch.ray_engine import check_ray
from gen3d_tools.batch.worker import check_versions, versions
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError
from tests.batch.comparing import contents, record
from tests.batch.work import make

ROOT = Path(__file__).parents[2]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install -e ".[batch]"')


@needs_ray
@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_and_a_node_makes_what_one_process_makes(tmp_path):
    make(tmp_path / "quiet", 24, 1)
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.cluster", tmp_path / "out", "24"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert 8 <= int((tmp_path / "lost").read_text()) < 24
    assert contents(tmp_path / "out") == contents(tmp_path / "quiet")
    assert record(tmp_path / "out") == record(tmp_path / "quiet")


@needs_ray
def test_an_address_where_nobody_answers_is_told_before_any_work():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(Gen3DError, match=f"no cluster answers at {address}.*ray start --head"):
            check_ray(address)


@needs_ray
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", None])
def test_an_address_of_another_program_is_told_before_any_work(monkeypatch, answer):
    monkeypatch.setattr(ray_engine, "REACH_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(check_ray, address)
            connection, _ = server.accept()
            with connection:
                if answer is not None:  # else it takes what is said, and never answers
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                with pytest.raises(Gen3DError, match=f"no cluster answers at {address} .(timed out|.*no Ray)"):
                    asked.result()


@needs_ray
def test_what_speaks_as_ray_does_is_taken_for_a_cluster():
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(check_ray, f"127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100).startswith(b"PRI * HTTP/2.0")
            for part in (bytes([0, 0, 12]), bytes([4, 0]), bytes(16)):
                connection.sendall(part)
            assert asked.result() is None


@needs_ray
@pytest.mark.parametrize("address", ["", "here", "here:", ":80", "ray://here:10001", "here:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match="is no address of a cluster; write host:port"):
        check_ray(address)


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr("gen3d_tools.batch.ray_engine.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "gen3d-tools\[batch\]"'):
        BatchOptions(ray="local").check("auto")


@needs_ray
def test_ray_chooses_the_gpu_itself():
    with pytest.raises(InputError, match="Ray chooses the GPU of each worker"):
        BatchOptions(ray="local").check("cuda:0,1")


def test_a_machine_with_other_versions_makes_nothing():
    check_versions(versions())
    with pytest.raises(Gen3DError, match=r"has gen3d-tools .*, the run needs gen3d-tools 0\.0\.1, .*; install those"):
        check_versions({**versions(), "gen3d-tools": "0.0.1"})
