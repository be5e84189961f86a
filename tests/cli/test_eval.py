"""`gen3d eval` as it is typed."""

import json
import math
import shutil
import sys

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from gen3d_tools.errors import MissingDependencyError, PlaceError
from gen3d_tools.workflows.evaluate import meshes as mesh_measures
from gen3d_tools.workflows.evaluate import run as evaluation
from gen3d_tools.workflows.evaluate.measures import Group, Measure
from tests.support.inception_files import write_script


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "real"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(12):
        pixels = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        pixels.resize((16, 16), Image.Resampling.BILINEAR).save(folder / f"{index}.png")
        levels = np.linspace(1000 + index, 9000, 256).reshape(16, 16).astype(np.uint16)
        Image.fromarray(levels).save(folder / f"{index}_depth.png")
    return folder


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    root = tmp_path_factory.mktemp("meshes")
    for name, radius in (("true", 1.0), ("made", 0.9)):
        (root / name).mkdir()
        for index in range(2):
            trimesh.creation.icosphere(subdivisions=3, radius=radius).export(root / name / f"{index}.ply")
    return root


def test_the_table_is_the_result_where_no_output_is_named(gen3d, tiny_folder, pictures, leftovers):
    done = gen3d("eval", tiny_folder, "--against", pictures, "--samples", 5)
    assert done.code == 0, done.err
    assert "FD-encoder" in done.out
    assert "recall-encoder" in done.out
    assert "FID" not in done.out  # which is Inception's
    assert "5 pictures are fewer than the 256 features" in done.err
    assert leftovers() == []


@pytest.mark.slow
def test_a_report_has_a_page_and_the_numbers_and_keeps_features(gen3d, tiny_folder, pictures, tmp_path):
    command = ("eval", tiny_folder, "--against", pictures, "--samples", 5, "-o", "report")
    done = gen3d(*command)
    assert done.code == 0, done.err
    assert done.paths == ["report/index.html", "report/measures.json"]
    page = (tmp_path / "report/index.html").read_text()
    assert "FD-encoder" in page
    assert page.count("data:image/png;base64") == 3  # a plot, the best and the worst
    numbers = json.loads((tmp_path / "report/measures.json").read_text())["distribution"]
    kept = sorted((tmp_path / "eval-cache").iterdir())
    assert [path.name.split("-")[0] for path in kept] == ["samples", "set"]
    before = [path.stat().st_mtime_ns for path in kept]
    kept[0].write_bytes(kept[0].read_bytes()[:-3])
    again = gen3d(*command, "--overwrite", "--json")
    assert again.code == 0, again.err
    assert again.json["details"]["distribution"]["measures"] == numbers["measures"]
    assert [path.stat().st_mtime_ns == old for path, old in zip(kept, before, strict=True)] == [False, True]


def test_damage_to_the_cache_is_said(gen3d, pictures, tmp_path):
    command = ("eval", pictures, "--against", pictures, "--cache", "kept")
    assert gen3d(*command).code == 0
    [path] = (tmp_path / "kept").iterdir()
    path.write_bytes(b"nothing")
    done = gen3d(*command)
    assert done.code == 0
    assert "is damaged; it is made again" in done.err


@pytest.mark.parametrize("cache", ["file", "file/below", "link"])
@pytest.mark.parametrize("extra", [(), ("--dry-run",)])
def test_a_cache_that_keeps_nothing_is_refused_before_any_work(gen3d, pictures, tmp_path, monkeypatch, cache, extra):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("open_set", "load_network"):
        monkeypatch.setattr(evaluation, name, lambda *_, **__: pytest.fail("it has begun"))
    refused = gen3d("eval", pictures, "--against", pictures, "--cache", cache, *extra)
    assert refused.code == 2
    place = cache.partition("/")[0]
    assert (
        f"features cannot be kept in {cache}: {place} is no folder; give another folder with --cache" in refused.error
    )


@pytest.mark.slow
def test_numbers_carry_the_name_and_digest_of_the_network(gen3d, pictures, tmp_path):
    write_script(tmp_path / "inception.pt")
    found = gen3d("eval", pictures, "--against", pictures, "--network", "inception.pt", "--json").json
    distribution = found["details"]["distribution"]
    assert distribution["measures"]["FID"]["value"] == pytest.approx(0, abs=1e-3)
    assert {"KID", "IS", "precision", "recall"} < set(distribution["measures"])
    made_with = distribution["made_with"]
    assert made_with["network"] == "inception.pt"
    assert made_with["network_kind"] == "TorchScript"
    assert len(made_with["network_sha256"]) == 64
    assert made_with["against_pictures"] == 12


def test_geometry_of_a_model(gen3d, tiny_folder):
    done = gen3d("eval", tiny_folder, "--geometry", "--samples", 2, "--size", 12, "--json")
    assert done.code == 0, done.err
    found = done.json["details"]["geometry"]["measures"]
    assert 1 <= found["NFS"]["value"] <= 64
    assert {"view depth error", "view contradictions", "view colour PSNR", "view feature ratio"} < set(found)


def test_depth_maps_of_two_sets(gen3d, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "made")
    for path in (tmp_path / "made").glob("*_depth.png"):
        levels = np.asarray(Image.open(path)).astype(int)
        Image.fromarray((levels * 3 + 7).astype(np.uint16)).save(path)
    done = gen3d("eval", "made", "--against", pictures, "--geometry", "--json")
    found = done.json["details"]["depth"]["measures"]
    assert found["depth error"]["value"] == pytest.approx(0, abs=0.01)
    assert found["depth rank correlation"]["value"] == pytest.approx(1, abs=1e-3)


def test_a_depth_map_of_nothing_but_background_is_left_out(gen3d, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "given")
    Image.fromarray(np.full((16, 16), 65535, np.uint16)).save(tmp_path / "given/3_depth.png")
    found = gen3d("eval", pictures, "--against", "given", "--geometry", "--json").json["details"]["depth"]
    assert found["made_with"] == {"pictures": 11, "left_out": 0, "without_depth": 1}
    assert found["measures"]["depth error"]["value"] == pytest.approx(0, abs=0.01)


def test_numbers_that_json_cannot_hold_are_null():
    rows = [{"name": "ball", "chamfer": math.inf, "views": [1.0, math.nan]}]
    measures = [Measure(name="FID", value=math.nan, spread=math.inf)]
    group = Group(name="meshes", title="", measures=measures, facts={"near": -math.inf, "bias": ""}, rows=rows)
    assert group.record() == {
        "measures": {"FID": {"value": None, "spread": None}},
        "made_with": {"near": None, "bias": ""},
        "rows": [{"name": "ball", "chamfer": None, "views": [1.0, None]}],
    }
    assert measures[0].text == "-"


@pytest.mark.slow
def test_meshes_are_measured_against_true_ones(gen3d, meshes, open3d, tmp_path):
    done = gen3d("eval", "meshes", meshes / "made", "--against", meshes / "true", "--points", 2000, "-o", "report")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "report/measures.json").read_text())["meshes"]
    assert found["measures"]["Chamfer distance"]["value"] == pytest.approx(0.1, rel=0.02)
    assert found["measures"]["volumetric IoU"]["value"] == pytest.approx(0.729, abs=0.01)
    assert found["measures"]["silhouette IoU"]["value"] == pytest.approx(0.81, abs=0.02)
    assert found["measures"]["watertight"]["value"] == 100
    assert len(found["rows"]) == 2
    assert "Farthest" in (tmp_path / "report/index.html").read_text()


def test_a_mesh_that_cannot_be_read_is_listed_and_the_others_are_measured(gen3d, meshes, tmp_path):
    shutil.copytree(meshes / "made", tmp_path / "made")
    (tmp_path / "made/broken.ply").write_bytes(b"ply\nnothing")
    done = gen3d("eval", "meshes", "made")
    assert done.code == 7
    assert "1 failed: broken.ply" in done.err
    assert "watertight" in done.out


@pytest.mark.parametrize("error", [PlaceError("the disk is full"), MissingDependencyError("open3d is missing")])
def test_what_all_other_meshes_would_meet_too_ends_the_run(gen3d, meshes, monkeypatch, error):
    def measure(*arguments):
        raise error

    monkeypatch.setattr(mesh_measures, "measure_mesh", measure)
    done = gen3d("eval", "meshes", meshes / "made")
    assert (done.code, done.error) == (error.exit_code, f"error: {error}")


@pytest.fixture
def places(tmp_path, pictures, tiny_folder, meshes):
    """Everything that bad commands name, in the working folder."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(pictures, tmp_path / "mixed")
    Image.new("RGB", (8, 8)).save(tmp_path / "mixed/small.png")
    shutil.copytree(pictures, tmp_path / "real")
    (tmp_path / "large").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "large/0.png")
    (tmp_path / "few").mkdir()
    shutil.copy(pictures / "0.png", tmp_path / "few/0.png")
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    shutil.copytree(pictures, tmp_path / "flat", ignore=lambda _, names: [one for one in names if one[1:2] != "."])
    (tmp_path / "named").mkdir()
    for path in pictures.iterdir():
        shutil.copy(path, tmp_path / "named" / f"other-{path.name}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/0.ply").write_bytes(b"ply\nnothing")
    shutil.copytree(meshes / "made", tmp_path / "made")
    write_script(tmp_path / "vgg16.pt", numbers=64)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")


BAD = [
    ("tiny", 2, "there is nothing to measure: give --against a folder of real pictures, or --geometry"),
    ("tiny --against nowhere", 3, "there is no folder or archive at nowhere"),
    ("tiny --against empty", 2, "holds no pictures"),
    ("tiny --against mixed", 2, "holds pictures of several sizes"),
    ("real --against large", 2, "bring them to one size with --size 16"),
    ("real --against few", 2, "at least 4 on either side"),
    ("tiny --against real --samples 3", 2, "there are 3 and 12 pictures to compare"),
    ("tiny --against few --geometry", 2, "there are 2048 and 1 pictures to compare"),
    ("real --against flat --geometry", 2, "has no depth map 0_depth.png beside it, as 10 of 10 pictures; make"),
    ("real --against named --geometry", 2, "depth maps are compared name by name"),
    ("meshes broken", 7, "none of 1 meshes could be measured; 0.ply: "),
    ("real --geometry", 2, "name another one to compare it with: --against"),
    ("real", 2, "real holds 12 pictures and no model: a set of pictures is measured against real ones; name"),
    ("real --protocol fid50k", 2, "name another one to compare it with: --against FOLDER"),
    ("empty", 2, "empty holds no pictures and no model: a set of pictures is measured against real ones"),
    ("real --against real --samples 9", 2, "all pictures of a set are measured"),
    (
        "real --against real --psi 0.5 --base tiny",
        2,
        "--psi, --base: that is for models, and real is a set",
    ),
    ("real --against real --workers 3", 2, "--workers: workers draw the samples of a model, and two sets of pictures"),
    ("tiny --geometry --protocol fid50k --cache a", 2, "--protocol, --cache: that is for a comparison with real"),
    ("tiny --geometry --workers 3", 2, "--workers: workers draw the samples of a model, and geometry alone is"),
    ("meshes made --base tiny", 2, "--base is about models and pictures and inversion, not about meshes"),
    ("meshes made --device cpu", 2, "--device is about models and pictures and inversion, not about meshes"),
    ("tiny --against real --protocol fid9k", 2, "there is no protocol 'fid9k'; choose from fid2k, fid50k"),
    ("tiny --against real --samples 0", 2, "samples is 0"),
    ("tiny --against real --network nowhere.pt", 3, "no network file nowhere.pt"),
    ("tiny --against real --network vgg16.pt", 4, "answers with 64 numbers"),
    ("tiny --against real --network other.pth", 4, "weights of another network"),
    ("tiny --against real -o page.html", 2, "a report is a folder; try -o page"),
    ("tiny --against real -o taken --overwrite --samples 4", 0, ""),
    ("tiny --geometry --points 9", 2, "--points is about meshes, not about pictures"),
    ("meshes made --psi 0.5", 2, "--psi is about models and pictures, not about meshes"),
    ("meshes nowhere", 3, "there is no folder nowhere"),
    ("meshes empty", 2, "holds no meshes"),
    ("meshes made --against empty", 2, "holds no meshes"),
    ("meshes made --points 1", 2, "points is 1"),
    ("inversion empty", 2, "holds no photos"),
    ("inversion nowhere", 3, "there is no folder nowhere"),
    ("nowhere --geometry", 3, "nowhere"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD, ids=[one[0] for one in BAD])
def test_what_cannot_be_meant_is_one_line(gen3d, places, words, code, message, leftovers):
    before = leftovers()
    done = gen3d("eval", *words.split())
    assert done.code == code, done.err
    if code:
        assert message in done.error
        assert leftovers() == before


@pytest.mark.parametrize(
    ("module", "words"),
    [("torch_fidelity", "tiny --against real"), ("matplotlib", "tiny --geometry -o report")],
)
def test_the_extra_is_named_where_it_is_missing(gen3d, places, monkeypatch, module, words, leftovers):
    for name in [one for one in sys.modules if one.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    before = leftovers()
    done = gen3d("eval", *words.split())
    assert done.code == 5
    assert 'pip install "gen3d-tools[eval]"' in done.error
    assert leftovers() == before


def test_a_dry_run_measures_nothing(gen3d, tiny_folder, pictures, leftovers):
    done = gen3d("eval", tiny_folder, "--against", pictures, "-o", "report", "--dry-run")
    assert done.code == 0, done.err
    assert "would write report/index.html" in done.err
    assert leftovers() == []


@pytest.mark.slow
def test_workers_give_the_same_numbers_as_one_process(gen3d, tiny_folder, pictures, monkeypatch):
    monkeypatch.setattr("gen3d_tools.workflows.evaluate.distribution.compare.SHARD", 3)
    command = ("eval", tiny_folder, "--against", pictures, "--samples", 7, "--json", "--device", "cpu")
    alone = gen3d(*command, "--workers", 1)
    spread = gen3d(*command, "--workers", 2)
    assert spread.code == 0, spread.err
    assert spread.json["details"]["distribution"]["measures"] == alone.json["details"]["distribution"]["measures"]
