"""The harness sees what it is there to see: each misdeed of a reader made for it is found, and nothing else is."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits are those of POSIX systems")

from tests.fuzz import harness, misbehaving
from tests.fuzz.harness import Cases, Format
from tests.fuzz.mutators import BY_SUFFIX

ROOT = Path(__file__).parents[2]
PROGRAM = "from tests.fuzz import harness, __main__; harness.SILENCE = 8.0; __main__.main()"
CLEAN = {"fine", "refuse"}
EXPECTED = {
    "raise": "IndexError: list index out of range",
    "flood": "message of 5000 letters",
    "colour": r"message of 19 letters: 'a \x1b[31mred",
    "spin": "more than 0.2 s of processor time",
    "wait": "silent for 8 s",
    "eat": "MiB of memory, 20 are allowed",
    "claim": "MemoryError",
    "crash": "killed by SIGSEGV",
    "leave": "left with exit code 0",
    "write": "its folder holds other files than before",
    "remove": "os.remove",
    "peek": "open ('/etc/hostname'",
    "import": "import ('this'",
    "exec": "exec (<code object",
    "run": "subprocess.Popen ('true'",
    "connect": "socket.connect",
}


@pytest.fixture(scope="module")
def report() -> dict:
    command = [sys.executable, "-c", PROGRAM, "--formats", "tests.fuzz.misbehaving", "--json"]
    command += ["--cases", str(len(misbehaving.DEEDS))]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 1, finished.stderr  # something was not clean
    return json.loads(finished.stdout)["misbehaving"]


@pytest.mark.parametrize("deed", EXPECTED)
def test_a_misdeed_is_found(report, deed):
    [found] = [case["what"] for case in report["unclean"] if case["kind"] == deed]
    assert EXPECTED[deed] in found


def test_what_is_read_or_refused_in_one_line_is_clean_and_nothing_is_left_out(report):
    assert set(misbehaving.DEEDS) == CLEAN | set(EXPECTED)
    assert report["outcomes"] == {"read": 1, "InputError": 1, "unclean": len(EXPECTED)}
    assert set(report["kinds"]) == set(misbehaving.DEEDS)


def test_a_case_depends_on_its_format_seed_and_number_alone():
    files = {"a.json": b'{"one": [1, 2.5], "two": "x"}', "b.txt": b"1 2 3\n4 5 6\n", "c.bin": bytes(range(100))}
    form = Format(name="any", corpus=lambda: [files], read=lambda folder: None)
    cases, again = Cases(form, seed=3), Cases(form, seed=3)
    made = [cases[number] for number in range(300)]
    assert made == [again[number] for number in reversed(range(300))][::-1]
    assert made != [Cases(form, seed=4)[number] for number in range(300)]
    assert len({kind for kind, _ in made}) > 15
    assert sum(spoilt != files for _, spoilt in made) > 250


@pytest.mark.parametrize("suffix", BY_SUFFIX)
def test_every_mutator_takes_any_bytes(suffix):
    for mutate in BY_SUFFIX[suffix]:
        for data in (b"", b"{", b"\xff" * 20, b"[1, 2]", bytes(range(256))):
            for seed in range(20):
                assert isinstance(mutate(random.Random(seed), data), bytes), mutate.__name__


def test_a_corpus_that_is_refused_is_an_error_of_the_test_itself(tmp_path):
    form = Format(name="any", corpus=lambda: [{"a": b"refuse"}], read=misbehaving.read)
    with pytest.raises(harness.Gen3DError, match="not like this"):
        harness._warm_up(Cases(form), tmp_path)
