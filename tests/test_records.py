"""What records prove, and that those of different runs do not replace each other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.errors import PlaceError
from gen3d_tools.records import Log, Proof, choose_record, log_path, read_log, read_record, records_in

ROOT = Path(__file__).parents[1]
VERSIONS = {"versions": {"gen3d_tools": "0.2"}}


def write_record(path, *names):
    """A record of files that are there."""
    files = {name: vars(Proof.of(path.parent / name)) for name in names}
    listed = {name: {"bytes": one["size"], "sha256": one["sha256"]} for name, one in files.items()}
    path.write_text(json.dumps({**VERSIONS, "files": listed}))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_record_proves_what_was_not_changed(folder):
    write_record(folder / "run.json", "a.png", "b.png")
    (folder / "b.png").write_text("b.pnG")  # as long as before
    record = read_record(folder / "run.json")
    assert record is not None
    assert [record.proves(name) for name in ("a.png", "b.png", "c.png")] == [True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"versions": ["gen3d_tools"]}',
        '{"versions": {"webpack": "5"}, "files": {}}',
        "[" * 100_000,
    ],
)
def test_another_programs_file_is_no_record(folder, text):
    (folder / "run.json").write_text(text)
    assert read_record(folder / "run.json") is None
    assert records_in(folder) == []


@pytest.mark.parametrize("proof", [None, 3, {"bytes": "5", "sha256": "x"}, {"bytes": 5}, {"sha256": 3, "bytes": 5}])
def test_a_proof_that_cannot_be_read_proves_nothing(folder, proof):
    (folder / "run.json").write_text(json.dumps({**VERSIONS, "files": {"a.png": proof, "../b.png": proof}}))
    record = read_record(folder / "run.json")
    assert record is not None
    assert list(record.files) == ["a.png"]
    assert not record.proves("a.png")


def test_a_record_takes_the_next_free_name_unless_all_its_files_are_made_again(folder):
    def chosen(*names):
        path, superseded = choose_record(folder, "", names)
        return path.name, [record.path.name for record in superseded]

    assert chosen("a.png") == ("run.json", [])
    write_record(folder / "run.json", "a.png", "b.png")
    assert chosen("a.png") == ("run-2.json", [])
    assert chosen("a.png", "b.png", "c.png") == ("run.json", ["run.json"])
    write_record(folder / "run-2.json", "c.png")
    assert chosen("c.png") == ("run-2.json", ["run-2.json"])
    assert chosen("a.png", "b.png", "c.png") == ("run.json", ["run.json", "run-2.json"])
    (folder / "run-3.json").write_text("a person's own")
    assert chosen("x.png") == ("run-4.json", [])
    (folder / "b.png").unlink()  # what is gone need not be recorded
    assert chosen("a.png") == ("run.json", ["run.json"])


def test_a_log_is_a_record_as_soon_as_its_process_is_dead(folder):
    log = Log(folder, "")
    log.add("a.png", Proof.of(folder / "a.png"), VERSIONS)
    path = log_path(folder / "run.json")
    assert read_log(path) is None
    assert choose_record(folder, "", ())[0].name == "run-2.json"
    with path.open("ab") as file:
        file.write(b'{"name": "b.png", "byt')  # killed while it wrote
    log._file.close()
    record = read_log(path)
    assert record is not None
    assert list(record.files) == ["a.png"]
    assert record.proves("a.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_as_one_also_where_the_log_meets_it_first(folder):
    log = Log(folder, "cup")
    log_path(folder / "cup.run.json").symlink_to("/dev/full")
    with pytest.raises(PlaceError, match=r"the list of outputs in .* cannot be written .No space left on device"):
        log.begin(["cup.png"], {"command": "sample"})


def test_two_processes_do_not_share_a_log(folder):
    log = Log(folder, "")
    log.add("a.png", Proof.of(folder / "a.png"), VERSIONS)
    script = (
        "from pathlib import Path; from gen3d_tools.records import *\n"
        f"Log(Path({str(folder)!r}), '').add('b.png', Proof(1, 'x'), {VERSIONS})"
    )
    for _ in range(2):  # and not that of one that is dead
        subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    log.remove()
    assert not log_path(folder / "run.json").exists()
    found = [read_log(log_path(folder / f"run-{number}.json")) for number in (2, 3)]
    assert [list(record.files) for record in found if record is not None] == [["b.png"]] * 2
