"""`--workers`: what one process makes, made by several."""

import json
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.workflows.samples.selection import Sample
from gen3d_tools.workflows.samples.shards import plan_shards
from tests.support.programs import same_with_workers

needs_shards = pytest.mark.skipif(
    find_spec("webdataset") is None or find_spec("pyarrow") is None, reason='needs pip install -e ".[batch]"'
)


@pytest.mark.slow
def test_pictures_are_those_of_one_process_to_the_byte(tmp_path):
    files, done = same_with_workers(
        tmp_path, "sample", "shapes", "--seeds", "0-3", "--size", 64, "--show", "rgb,normal"
    )
    assert len(files) == 4 * 2 + 1
    printed = [f"out/{name}" for name in files if name != "manifest.jsonl"]
    assert sorted(done.stdout.split()) == sorted(2 * printed)


@pytest.mark.slow
def test_meshes_their_table_and_their_sheet_are_those_of_one_process(tmp_path):
    options = ("--resolution", 48, "--color-from", "points", "--format", "ply,obj", "--points", 50)
    files, done = same_with_workers(tmp_path, "mesh", "shapes", "--seeds", "0-2", *options)
    assert {"meshes.png", "manifest.jsonl", "mug-0000.ply", "mug-0000.obj", "mug-0000-points.ply"} <= set(files)
    assert [name in done.stderr for name in ("sample", "mug 0", "mug 1", "sailboat 2")] == [True] * 4


@pytest.mark.slow
def test_videos_are_those_of_one_process_to_the_byte(tmp_path):
    options = ("--seconds", 0.2, "--fps", 10, "--size", 16, "--format", "frames")
    files, _ = same_with_workers(tmp_path, "video", "shapes", "--seeds", "0-2", *options)
    assert len(files) == 1 + 3 * 2


def test_workers_are_counted_before_any_work(gen3d):
    assert "workers is 0; it must lie in 1..1024" in gen3d("sample", "shapes", "--workers", 0).error
    assert "each has one" in gen3d("sample", "shapes", "--workers", 1, "--device", "cuda:0,1").error
    assert "devices are 'cpu,cpu'" in gen3d("sample", "shapes", "--device", "cpu,cpu").error


@pytest.mark.parametrize("asked", [["--grid"], ["-o", "x.png", "--seeds", "0-3"], ["-o", "x.png", "--views", 2]])
def test_a_sheet_is_made_by_one_process(gen3d, asked):
    for model in ("shapes", "there is none of this name"):  # told before any is loaded
        outcome = gen3d("sample", model, "--workers", 2, *asked)
        assert outcome.code == 2
        assert "leave --workers out" in outcome.error


def test_a_sheet_of_all_classes_is_made_by_one_process(gen3d):
    outcome = gen3d("sample", "shapes", "--class", "all", "-o", "x.png", "--workers", 2)
    assert outcome.code == 2
    assert "leave --workers out" in outcome.error


def test_a_command_that_cannot_write_to_urls_says_so(gen3d):
    outcome = gen3d("page", "shapes", "-o", "memory://bucket/page.html")
    assert outcome.code == 2
    assert "is a URL, and this command writes to files and folders" in outcome.error


def test_pictures_at_a_url_are_those_of_a_folder(gen3d, tiny_folder):
    import fsspec

    assert gen3d("sample", tiny_folder, "--seeds", "0-1", "--size", 8, "-o", "memory://bucket/many/").code == 0
    assert gen3d("sample", tiny_folder, "--seeds", "0-1", "--size", 8, "-o", "there/").code == 0
    one = gen3d("sample", tiny_folder, "--size", 8, "-o", "memory://bucket/one.png")
    assert one.paths == ["memory://bucket/one.png"]
    assert "wrote memory://bucket/one.png (" in one.err
    files = fsspec.filesystem("memory")
    for path in Path("there").glob("*.png"):
        assert files.cat_file(f"/bucket/many/{path.name}") == path.read_bytes()
    assert sorted(files.find("/bucket"))[-2:] == ["/bucket/one.png", "/bucket/one.run.json"]
    again = gen3d("sample", tiny_folder, "--size", 8, "-o", "memory://bucket/one.png")
    assert "memory://bucket/one.png exists already" in again.error


def test_meshes_at_a_url_leave_no_notes(gen3d, tiny_folder):
    import fsspec

    options = ("--seeds", "0-1", "--resolution", 16, "--color-from", "points", "--format", "ply")
    outcome = gen3d("mesh", tiny_folder, *options, "-o", "memory://bucket/meshes/")
    assert outcome.code == 0, outcome.err
    names = sorted(Path(name).name for name in fsspec.filesystem("memory").find("/bucket/meshes"))
    assert names == sorted(["run.json", *(Path(path).name for path in outcome.paths)])
    assert len(names) == 4


def read_shards(folder):
    """Every sample as the webdataset library reads it, from files that it does not leave open."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    with ExitStack() as stack:
        paths = sorted(folder.glob("*.tar"))
        streams = [{"url": path.name, "stream": stack.enter_context(path.open("rb"))} for path in paths]
        return list(group_by_keys(tar_file_expander(streams)))


@needs_shards
def test_shards_are_read_by_webdataset_and_hold_the_pictures_of_a_folder(gen3d, tiny_folder):
    import pyarrow.parquet

    options = ("sample", tiny_folder, "--seeds", "0-4", "--size", 8, "--show", "rgb,depth", "--views", 2)
    assert gen3d(*options, "-o", "pictures/").code == 0
    outcome = gen3d(*options, "-o", "shards/", "--shards", 2)
    assert outcome.paths == [*(f"shards/samples-00000{number}.tar" for number in range(3)), "shards/index.parquet"]
    found = read_shards(Path("shards"))
    rows = pyarrow.parquet.read_table("shards/index.parquet").to_pylist()
    assert [one["__key__"] for one in found] == [row["key"] for row in rows]
    assert [row["shard"][-5] + str(row["position"]) for row in rows] == ["00", "01", "10", "11", "20"]
    for one, row in zip(found, rows, strict=True):
        assert json.loads(one["json"]) == {
            "seed": row["seed"],
            "class": row["class"],
            "class_index": row["class_index"],
        }
        assert int(one["cls"]) == row["class_index"]
        for name in ("rgb-0", "rgb-180", "depth-0", "depth-180"):
            assert one[f"{name}.png"] == Path(f"pictures/{row['key']}-{name}.png").read_bytes()


@needs_shards
def test_shards_are_resumed_one_by_one_and_only_with_the_same_samples(gen3d, tiny_folder):
    def shards():
        return {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(Path("shards").glob("*.tar"))
        }

    options = ("sample", tiny_folder, "--size", 8, "--shards", 2, "-o", "shards/")
    gen3d(*options, "--seeds", "0-4")
    before = shards()
    Path("shards/samples-000001.tar").unlink()
    assert gen3d(*options, "--seeds", "0-4", "--resume").code == 0
    after = shards()
    assert [name for name in before if after[name] != before[name]] == ["samples-000001.tar"]
    assert after["samples-000001.tar"][0] == before["samples-000001.tar"][0]
    assert "were made with different seeds" in gen3d(*options, "--seeds", "0-3", "--resume").error


def test_samples_of_one_key_are_refused():
    samples = [Sample(3, 0, "v1.5"), Sample(3, 1, "v1_5"), Sample(3, 0, "v1.5")]
    with pytest.raises(InputError, match=r"v1.5 3 and v1_5 3 would both have the key v1_5-0003"):
        plan_shards(samples, Path("out"), 10)


@needs_shards
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shards", 0), "shards is 0; it must lie in 1..1,000,000"),
        (("--shards", 10, "--grid"), "leave the grid and the cameras out, or --shards"),
        (("--shards", 10, "-o", "sub/one.png"), "shards and their index are several files; name a folder: sub/one/"),
        (("--shards", 10, "-o", "s3://b/a.tar"), "several files; name a folder: s3://b/a/"),
    ],
)
def test_shards_that_cannot_be_are_refused(gen3d, options, said):
    outcome = gen3d("sample", "shapes", *options)
    assert (outcome.code, said in outcome.error) == (2, True), outcome.err


def test_what_writes_shards_is_named_where_it_is_missing(gen3d, monkeypatch):
    monkeypatch.setattr("gen3d_tools.workflows.samples.shards.find_spec", lambda name: None)
    outcome = gen3d("sample", "shapes", "--shards", 10)
    assert outcome.code == 5
    assert 'shards need webdataset and pyarrow, not installed; try: pip install "gen3d-tools[batch]"' in outcome.error
