"""The work of a run in pieces: the same files and the same record, whoever makes them and whatever is killed."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gen3d_tools.batch.pieces import Failure
from gen3d_tools.errors import BatchError, InputError, MissingDependencyError
from gen3d_tools.records import Log, Proof
from gen3d_tools.workflows.running import batches
from tests.batch.comparing import contents, record, times_begun
from tests.batch.work import make

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """What one process makes, undisturbed."""
    folder = tmp_path_factory.mktemp("quiet") / "out"
    make(folder, 40, 1)
    return folder


def test_workers_make_the_files_and_the_record_of_one_process(tmp_path, quiet):
    make(tmp_path / "out", 40, 2)
    assert contents(tmp_path / "out") == contents(quiet)
    assert record(tmp_path / "out") == record(quiet)
    assert set(times_begun(tmp_path / "out").values()) == {1}


def test_the_manifest_says_what_is_made_of_each_piece(quiet):
    lines = [json.loads(line) for line in (quiet / "manifest.jsonl").read_text().splitlines()]
    assert [line["piece"] for line in lines] == [f"piece {number}" for number in range(40)]
    assert [line["outputs"] for line in lines] == [[f"{number}.txt"] for number in range(40)]


def test_a_worker_that_dies_costs_its_piece_once_and_the_others_nothing(tmp_path, quiet):
    make(tmp_path / "out", 40, 2, deadly=(3, 17, 30))
    assert contents(tmp_path / "out") == contents(quiet)
    assert record(tmp_path / "out") == record(quiet)
    again = {number: count for number, count in times_begun(tmp_path / "out").items() if count > 1}
    assert again == {"3": 2, "17": 2, "30": 2}


def test_workers_killed_at_any_moment_leave_the_identical_set(tmp_path, quiet):
    chance, ended, killed = random.Random(5), threading.Event(), []

    def kill_now_and_then():
        while not list((tmp_path / "out").glob("*.txt")) and not ended.wait(0.05):
            pass  # who is killed three times before it could begin is taken for one that cannot
        while len(killed) < 3 and not ended.wait(chance.uniform(0.3, 1.0)):
            for process in multiprocessing.active_children()[:1]:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        make(tmp_path / "out", 40, 2, pause=0.1)
    finally:
        ended.set()
        killer.join()
    assert killed
    assert contents(tmp_path / "out") == contents(quiet)
    assert record(tmp_path / "out") == record(quiet)
    assert sum(times_begun(tmp_path / "out").values()) <= 40 + len(killed)


@pytest.mark.slow
def test_a_killed_driver_goes_on_with_resume_and_makes_nothing_twice(tmp_path, quiet):
    folder = tmp_path / "out"
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.batch.work", folder, "40", "2", "0.1"], cwd=ROOT, env={**os.environ}
    )
    while len(list(folder.glob("*.txt"))) < 8:
        assert driver.poll() is None
        time.sleep(0.02)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(1)  # its workers end with it
    left = len(list(folder.glob("*.txt")))
    assert left < 40
    make(folder, 40, 2, resume=True)
    assert contents(folder) == contents(quiet)
    assert record(folder) == record(quiet)
    assert sum(times_begun(folder).values()) <= 40 + 2  # the pieces that were under way


def test_a_piece_that_fails_three_times_is_listed_and_the_others_are_made(tmp_path):
    run = make(tmp_path / "out", 10, 2, broken=(2, 5))
    assert run.failures == {
        "piece 2": "unexpected RuntimeError: 2 is broken",
        "piece 5": "unexpected RuntimeError: 5 is broken",
    }
    assert sorted(contents(tmp_path / "out")) == sorted(
        ["manifest.jsonl", *(f"{number}.txt" for number in range(10) if number not in (2, 5))]
    )
    assert times_begun(tmp_path / "out")["2"] == 3
    with pytest.raises(BatchError, match=r"2 failed: piece 2, piece 5; the rest is written. The first one: .*2 is"):
        run.check_failures()


def test_a_piece_that_kills_three_workers_is_listed_and_the_others_are_made(tmp_path):
    run = make(tmp_path / "out", 4, 2, deadly=(1, 1, 1))
    assert run.failures == {"piece 1": "its process ended before it was done: killed, or out of memory"}
    assert sorted(contents(tmp_path / "out")) == ["0.txt", "2.txt", "3.txt", "manifest.jsonl"]
    assert times_begun(tmp_path / "out") == {"0": 1, "1": 3, "2": 1, "3": 1}


def test_there_are_no_more_processes_than_pieces(tmp_path, monkeypatch):
    engines = []

    class Counted(batches.Processes):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            engines.append(self)

    monkeypatch.setattr(batches, "Processes", Counted)
    make(tmp_path / "out", 2, 64)
    assert [engine.slots for engine in engines] == [2]


def test_a_package_that_is_missing_is_no_failure_of_a_piece():
    assert Failure.of(MissingDependencyError("open3d is missing")).ends_run
    assert not Failure.of(MemoryError()).ends_run


def test_a_failed_run_is_made_whole_by_resume(tmp_path, quiet):
    make(tmp_path / "out", 40, 2, broken=(2, 5))
    make(tmp_path / "out", 40, 2, resume=True)
    assert contents(tmp_path / "out") == contents(quiet)
    assert record(tmp_path / "out") == record(quiet)


def test_each_worker_has_a_device_and_its_share_of_the_threads(tmp_path):
    make(tmp_path / "out", 12, 4, pause=0.1, device="cpu:0,1")
    lines = [path.read_text().split() for path in Path(tmp_path / "out-diary").iterdir()]
    device_of = {process: device for process, device, _ in lines}
    assert sorted(device_of.values()) == ["cpu:0", "cpu:0", "cpu:1", "cpu:1"]
    assert {threads for _, _, threads in lines} == {"1"}


def test_two_runs_of_one_kind_share_a_folder_and_its_manifest(tmp_path):
    make(tmp_path / "out", 4, 1)
    make(tmp_path / "out", 6, 2, resume=True)
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["piece"] for line in lines] == [f"piece {number}" for number in range(6)]


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_outputs_that_another_run_is_making_are_refused(tmp_path, options):
    make(tmp_path / "out", 2, 1)
    log = Log(tmp_path / "out", "")
    log.begin(["3.txt"], {})
    log.add("4.txt/inside.png", Proof(1, ""), {})
    with pytest.raises(InputError, match=r"another run is writing 3.txt, 4.txt in .*out now; wait until it ends, or"):
        make(tmp_path / "out", 6, 1, **options)
    make(tmp_path / "out", 3, 1, resume=True)
    log.remove()
    make(tmp_path / "out", 6, 1, resume=True)


def test_a_damaged_manifest_keeps_nothing_from_being_resumed(tmp_path):
    make(tmp_path / "out", 4, 1)
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "manifest.jsonl").write_text('{"piece": "piece 0", "outp')
    with pytest.raises(InputError, match=r"manifest.jsonl in .* --resume with --overwrite makes them again, and keeps"):
        make(tmp_path / "out", 4, 1, resume=True)
    make(tmp_path / "out", 4, 1, resume=True, overwrite=True)
    assert contents(tmp_path / "out") == whole
    assert set(times_begun(tmp_path / "out").values()) == {1}


@pytest.mark.parametrize("workers", [0, 2000])
def test_a_number_of_workers_out_of_range_is_refused(workers):
    from gen3d_tools.batch.options import BatchOptions

    with pytest.raises(InputError, match=f"workers is {workers}; it must lie in 1..1024"):
        BatchOptions(workers=workers).check("cpu")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("", "device is empty; name one"),
        (" ", "is empty"),
        ("cuda:0,", "one has no name"),
        ("cpu,cpu", "name each once"),
    ],
)
def test_devices_that_are_none_are_refused_by_what_is_wrong(device, message):
    from gen3d_tools.batch.options import parse_devices

    with pytest.raises(InputError, match=message):
        parse_devices(device)
