"""Outputs at a URL: the files of a folder, whole or not at all, and the record beside them, from which runs go on."""

import errno
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from gen3d_tools.batch.store import Store, is_url
from gen3d_tools.errors import InputError, MissingDependencyError, PlaceError
from gen3d_tools.workflows.running.places import output_path
from tests.batch.comparing import contents
from tests.batch.work import make

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path):
    """A folder of fsspec's file system in memory, and the diary's on disk."""
    url = f"memory://{tmp_path.name}/out"
    yield url
    fsspec.filesystem("memory").store.clear()


def read_all(url):
    files, folder = fsspec.url_to_fs(url)
    return {name.removeprefix(f"{folder}/"): files.cat_file(name) for name in files.find(folder)}


def test_the_files_are_those_of_a_folder_and_nothing_else_is_left(tmp_path, place):
    make(tmp_path / "quiet", 6, 1)
    run = make(place, 6, 1, diary=tmp_path / "diary")
    found = read_all(place)
    record = json.loads(found.pop("run.json"))
    assert found == contents(tmp_path / "quiet")
    assert record["outputs"] == [f"{place}/{name}" for name in [*(f"{n}.txt" for n in range(6)), "manifest.jsonl"]]
    assert set(record["files"]) == set(found)
    assert list(run.folder.iterdir()) == [run.folder / "run.json"]  # nothing stays on this machine's disk


def test_what_is_there_is_refused_kept_or_replaced(tmp_path, place):
    diary = tmp_path / "diary"
    make(place, 4, 1, diary=diary)
    with pytest.raises(InputError, match=rf"6 outputs exist already in {place}.*--resume makes the rest"):
        make(place, 5, 1, diary=diary)
    make(place, 5, 1, diary=diary, resume=True)
    assert [len(path.read_text().splitlines()) for path in sorted(diary.iterdir())] == [1, 1, 1, 1, 1]
    make(place, 5, 1, diary=diary, overwrite=True)
    assert [len(path.read_text().splitlines()) for path in sorted(diary.iterdir())] == [2, 2, 2, 2, 2]
    assert sorted(json.loads(read_all(place)["run.json"])["files"]) == sorted(
        ["manifest.jsonl", *(f"{number}.txt" for number in range(5))]
    )


def test_a_manifest_there_keeps_its_lines_about_other_pieces(tmp_path, place):
    make(place, 4, 1, diary=tmp_path / "diary")
    make(place, 2, 1, diary=tmp_path / "diary", resume=True)
    lines = read_all(place)["manifest.jsonl"].decode().splitlines()
    assert [json.loads(line)["piece"] for line in lines] == [f"piece {number}" for number in range(4)]


def test_an_interrupted_run_goes_on_from_what_is_there(tmp_path, place):
    diary = tmp_path / "diary"
    with pytest.raises(RuntimeError, match="2 is broken"):
        make(place, 5, 1, diary=diary, broken=(2,))
    assert not json.loads(read_all(place)["run.json"])["whole"]
    make(place, 5, 1, diary=diary, resume=True)
    assert [len(path.read_text().splitlines()) for path in sorted(diary.iterdir())] == [1, 1, 2, 1, 1]
    assert json.loads(read_all(place)["run.json"])["whole"]


def test_a_driver_whose_machine_is_lost_goes_on_from_the_log_that_it_sent(tmp_path, place):
    """Its last log and some newer files are all that is left."""
    from gen3d_tools.batch import store

    diary = tmp_path / "diary"
    make(place, 5, 1, diary=diary)
    files = fsspec.filesystem("memory")
    found = read_all(place)
    record = json.loads(found["run.json"])
    names = ["manifest.jsonl", "0.txt", "1.txt"]
    lines = [{**record, "files": {}}, *({"name": name, **record["files"][name]} for name in names)]
    lines += [{"begun": ["2.txt"]}]
    folder = fsspec.url_to_fs(place)[1]
    files.pipe_file(f"{folder}/.run.json.log", "".join(json.dumps(line) + "\n" for line in lines).encode())
    for name in ("run.json", "3.txt", "4.txt"):
        files.rm_file(f"{folder}/{name}")
    make(place, 5, 1, diary=diary, resume=True)
    assert [len(path.read_text().splitlines()) for path in sorted(diary.iterdir())] == [1, 1, 2, 2, 2]
    after = read_all(place)
    assert after.pop("run.json") != found.pop("run.json")
    assert after == found
    assert store.is_url(place)


def test_what_others_have_put_there_stays(tmp_path, place):
    files, folder = fsspec.url_to_fs(place)
    files.pipe_file(f"{folder}/1.txt", b"mine")
    with pytest.raises(InputError, match=r"no recorded run has made \(1.txt\)"):
        make(place, 3, 1, diary=tmp_path / "diary", overwrite=True)
    assert read_all(place) == {"1.txt": b"mine"}


def test_a_place_without_permission_is_told_before_any_work(tmp_path, place, monkeypatch):
    def refuse(self, path, value, **options):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "pipe_file", refuse)
    with pytest.raises(PlaceError, match=f"no permission for writing to {place}: Access Denied; check the credentials"):
        make(place, 3, 1, diary=tmp_path / "diary")
    assert list((tmp_path / "diary").iterdir()) == []


def test_a_place_that_fills_ends_the_run(tmp_path, place, monkeypatch):
    def fill(self, lpath, rpath, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "put_file", fill)
    with pytest.raises(PlaceError, match=f"{place} takes no files, writing to it failed: .*No space left on device"):
        make(place, 3, 1, diary=tmp_path / "diary")


def test_a_folder_is_made_with_its_first_file_and_no_sooner(tmp_path):
    make(tmp_path / "quiet", 2, 1)
    url = f"file://{tmp_path}/with space/ü/out"
    Store(url).open()
    assert not (tmp_path / "with space").exists()
    make(url, 2, 1, diary=tmp_path / "diary")
    assert contents(tmp_path / "with space" / "ü" / "out") == contents(tmp_path / "quiet")


def test_protocols_are_read_in_either_case(tmp_path, place):
    make(place.replace("memory", "Memory"), 2, 1, diary=tmp_path / "diary")
    assert sorted(read_all(place)) == ["0.txt", "1.txt", "manifest.jsonl", "run.json"]


@pytest.mark.parametrize("out", ["s3:/bucket/out", "s3://", "simplecache::s3://bucket/out", "-", Path("s3://bucket")])
def test_what_is_nearly_a_url_becomes_no_folder(out):
    with pytest.raises(InputError, match=r"neither a URL nor a likely folder|would be stdout"):
        output_path(out)


@pytest.mark.parametrize("out", ["./s3:/bucket", "C:/out", "C://out", "a:b", "./-", "out:", "C:out"])
def test_unusual_names_stay_names(out):
    assert output_path(out) == Path(out)


def test_a_protocol_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(InputError, match="no place is known as nowhere://"):
        make("nowhere://bucket/out", 3, 1, diary=tmp_path / "diary")


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("gen3d_tools.batch.store.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="s3:// needs s3fs, which is not installed; try: pip install s3fs"):
        make("s3://bucket/out", 3, 1, diary=tmp_path / "diary")


@pytest.mark.parametrize(
    ("text", "expected"), [("s3://b/x", True), ("C://x", False), ("out/s3", False), ("s3://", False)]
)
def test_what_counts_as_a_url(text, expected):
    assert is_url(text) is expected


@pytest.mark.slow
@pytest.mark.skipif(find_spec("s3fs") is None or find_spec("moto") is None, reason="needs s3fs and moto[s3]")
def test_workers_write_to_s3_and_a_bucket_that_is_missing_is_told(tmp_path):
    """A server of moto, spoken to by s3fs in every process."""
    program = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"
    log = tmp_path / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen([sys.executable, "-u", "-c", program], stderr=stream)
    try:
        while "Running on http" not in log.read_text():
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        address = next(line.split()[-1] for line in log.read_text().splitlines() if "Running on http" in line)
        settings = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.batch.s3", tmp_path],
            cwd=ROOT,
            env={**os.environ, **settings, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    finally:
        server.kill()
        server.wait()
    make(tmp_path / "quiet", 6, 1)
    there = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir() if path.name != "run.json"}
    assert there == contents(tmp_path / "quiet")
    assert "no-bucket" in done.stdout
