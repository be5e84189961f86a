"""`gen3d bench` on the smallest model there is."""

import json

import pytest

from gen3d_tools.generators.networks.precision import computes_in_bfloat16

_HALF = ["latent to scene, bfloat16"] if computes_in_bfloat16("cpu") else []
WORK = ["latent to scene", *_HALF, "latent to a picture of 8 x 8", "a further frame of 8 x 8"]
SMALL = ("--size", 8, "--resolution", 16, "--repeat", 1)


@pytest.mark.slow
def test_every_piece_of_work_is_measured_both_ways(gen3d, tiny_folder, tmp_path):
    done = gen3d("bench", tiny_folder, *SMALL, "--class", "cube")
    assert done.code == 0
    (path,) = done.paths
    found = json.loads((tmp_path / path).read_text())
    rows = {row["work"]: row for row in found["rows"]}
    assert list(rows) == [*WORK, "latent to a surface of 16^3"]
    assert all(row["ours_s"] > 0 for row in rows.values())
    assert [work for work, row in rows.items() if row["ratio"] is None] == _HALF
    assert all((row["plain_s"] is None) == (row["ratio"] is None) for row in rows.values())
    assert found["machine"]["cores"] >= 1
    assert all(work in done.err for work in rows)  # the table is for people
    assert (tmp_path / path).with_name("run.json").exists()


@pytest.mark.slow
def test_json_goes_to_stdout_alone(gen3d, tiny_folder):
    done = gen3d("bench", tiny_folder, *SMALL, "--json", "-o", "mine.json")
    assert done.json["command"] == "bench"
    assert len(done.json["details"]["rows"]) == len(WORK) + 1
    assert done.json["outputs"] == ["mine.json"]
    assert "measured" not in done.err
    again = gen3d("bench", tiny_folder, *SMALL, "-o", "mine.json")
    assert again.code != 0
    assert "mine.json" in again.error


def test_a_dry_run_measures_nothing(gen3d, tiny_folder, leftovers):
    done = gen3d("bench", tiny_folder, "--dry-run")
    assert done.code == 0
    assert "would write" in done.err
    assert leftovers() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", 0), "size is 0"),
        (("--resolution", 7), "resolution is 7"),
        (("--repeat", 0), "repeat is 0"),
        (("--threads", 0), "threads is 0"),
        (("--threads", 9999), "the processors of this machine"),
        (("--out", "photo.png"), "photo.png is to hold JSON; try -o photo.json"),
        (("--seeds", "0-3"), "one sample, 4 are named"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(gen3d, tiny_folder, leftovers, options, message):
    done = gen3d("bench", tiny_folder, *options)
    assert done.code == 2
    assert message in done.error
    assert leftovers() == []


def test_a_model_that_is_not_there(gen3d):
    assert gen3d("bench", "nowhere").code == 3
