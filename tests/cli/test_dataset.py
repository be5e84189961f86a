"""`gen3d dataset`: whole objects in every form, resumed and refused as other commands are, and trained on."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import Gen3DError, MissingDependencyError, PlaceError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.workflows.dataset import run as dataset_module
from gen3d_tools.workflows.dataset.options import DatasetOptions
from gen3d_tools.workflows.dataset.scene import ObjectTask
from gen3d_tools.workflows.samples.selection import Sample
from tests.support.camera_sets import write_transforms
from tests.support.programs import same_with_workers
from tests.training.tiny import tiny_recipe

SMALL = ("--size", 16, "--views", 3, "--resolution", 16, "--points", 50, "--class", "all")
LIGHT = ("--include", "none", "--size", 8, "--views", 3)


@pytest.fixture
def run(gen3d, tiny_folder):
    return lambda out, *options: gen3d("dataset", tiny_folder, *SMALL, "-o", out, "-q", *options)


def files(folder):
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("run"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def failing(monkeypatch, at, error):
    real, calls = dataset_module.make_object, []

    def make(*arguments, **options):
        calls.append(1)
        if len(calls) == at:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(dataset_module, "make_object", make)
    return calls


@pytest.mark.slow
def test_a_scene_for_nerfstudio_is_whole_and_the_same_each_time(run):
    outcome = run("out", "--splats")
    assert outcome.code == 0, outcome.err
    assert outcome.paths == ["out/ball-0000", "out/cube-0000"]
    found = files("out")
    stems = ["000", "001", "002"]
    wanted = {f"{folder}/{stem}.png" for folder in ("images", "masks", "depth", "normals") for stem in stems}
    wanted |= {f"depth/{stem}.npy" for stem in stems}
    wanted |= {"transforms.json", "points.ply", "mesh.glb", "splats.ply", "object.json"}
    assert set(found) == {f"{name}/{file}" for name in ("ball-0000", "cube-0000") for file in wanted}
    content = json.loads(found["ball-0000/transforms.json"])
    for frame, stem in zip(content["frames"], stems, strict=True):
        names = (frame["file_path"], frame["mask_path"], frame["depth_file_path"])
        assert names == (f"images/{stem}.png", f"masks/{stem}.png", f"depth/{stem}.png")
    assert content["depth_unit_scale_factor"] == 0.001
    facts = json.loads(found["cube-0000/object.json"])
    assert (facts["caption"], facts["class"], facts["seed"]) == ("a picture of a cube", "cube", 0)
    assert run("again", "--splats").code == 0
    assert files("again") == found


@pytest.mark.parametrize("form", ["colmap", "blender"])
def test_other_scenes_have_the_files_that_their_readers_ask_for(run, form):
    assert run("out", "--format", form).code == 0
    found = {name.removeprefix("ball-0000/") for name in files("out") if name.startswith("ball")}
    wanted = {
        "colmap": {"sparse/0/cameras.txt", "sparse/0/images.txt", "sparse/0/points3D.txt", "sparse/0/points3D.ply"}
        | {f"{name}" for stem in ("000", "001") for name in (f"images/{stem}.png", f"masks/{stem}.png.png")},
        "blender": {"transforms_train.json", "transforms_val.json", "transforms_test.json"}
        | {"train/000.png", "val/001.png", "test/002.png"},
    }
    assert wanted[form] <= found
    if form == "colmap":
        lines = files("out")["ball-0000/sparse/0/points3D.txt"].decode().splitlines()
        assert len([line for line in lines if not line.startswith("#")]) == 50


@pytest.mark.slow
@pytest.mark.parametrize("form", ["eg3d", "3dgp"])
def test_a_set_holds_nothing_but_pictures_and_their_labels(run, form):
    outcome = run("out", "--format", form, "--seeds", "0-1")
    assert outcome.code == 0, outcome.err
    assert outcome.paths[-1] == "out/pictures/dataset.json"
    names = [f"{name}/{view:03d}" for name in ("ball-0000", "ball-0001", "cube-0000", "cube-0001") for view in range(3)]
    suffixes = [".png", "_depth.png"] if form == "3dgp" else [".png"]
    assert set(files("out/pictures")) == {f"{name}{suffix}" for name in names for suffix in suffixes} | {"dataset.json"}
    content = json.loads(Path("out/pictures/dataset.json").read_text())
    assert [name for name, _ in content["labels"]] == [f"{name}.png" for name in names]
    assert content["class_names"] == ["ball", "cube"]
    assert dict(content["captions"])["cube-0001/002.png"] == "a picture of a cube"
    classes = dict(content["classes" if form == "eg3d" else "labels"])
    assert [classes[f"{name}.png"] for name in names] == [0] * 6 + [1] * 6
    if form == "3dgp":
        levels = np.asarray(Image.open("out/pictures/ball-0000/000_depth.png"))
        mask = np.asarray(Image.open("out/objects/ball-0000/masks/000.png")) > 0
        assert levels.dtype == np.uint16
        assert (levels[~mask] == 65535).all()
        assert 0 < levels[mask].min() < levels[mask].max() < 65535


@pytest.mark.slow
@pytest.mark.parametrize(("form", "size"), [("eg3d", 128), ("3dgp", 16)])
def test_generators_train_on_what_is_made(gen3d, tiny_folder, form, size):
    command = ("dataset", tiny_folder, "--class", "all", "--seeds", "0-1", "--format", form, "--include", "none", "-q")
    assert gen3d(*command, "--views", 2, "--size", size, "-o", "out").code == 0
    recipe = tiny_recipe(form, "cameras.source=labels", "optimisation.batch=4", "optimisation.round=4")
    pictures = open_pictures(Path("out/pictures"), recipe.data)
    assert pictures.count == 8
    assert recipe.data.depth == (form == "3dgp")
    known = pictures.conditions()
    assert (known.labels if form == "eg3d" else known.angles).shape[0] == 16  # mirrored copies included
    assert pictures.num_classes == (2 if form == "3dgp" else 0)
    trainer = Trainer(recipe, pictures)
    figures = trainer.step().means()
    assert all(value == value for value in figures.values())


@pytest.mark.slow
def test_an_interrupted_set_goes_on_to_the_same_bytes(run, monkeypatch):
    options = ("--format", "3dgp", "--seeds", "0-1")
    assert run("straight", *options).code == 0
    with monkeypatch.context() as patch:
        failing(patch, 3, KeyboardInterrupt)
        assert run("out", *options).code == 130
    kept = files("out")
    assert 0 < len(kept) < len(files("straight"))
    assert not any(name.endswith("dataset.json") for name in kept)
    with monkeypatch.context() as patch:
        calls = failing(patch, None, None)
        assert run("out", *options, "--resume").code == 0
    assert len(calls) == 2
    assert files("out") == files("straight")
    with monkeypatch.context() as patch:
        calls = failing(patch, None, None)
        more = run("out", "--format", "3dgp", "--seeds", "0-2", "--resume")
    assert more.code == 0, more.err
    assert len(calls) == 2  # one more seed of two classes
    assert len(json.loads(Path("out/pictures/dataset.json").read_text())["labels"]) == 3 * 2 * 3
    assert run("out", "--format", "3dgp", "--seeds", "0-2", "--overwrite").code == 0


def test_no_picture_of_a_set_is_left_without_labels(gen3d, tiny_folder):
    command = ("dataset", tiny_folder, *LIGHT, "--format", "eg3d", "--class", "ball", "-q")
    for out in ("out", "memory://bucket/set"):
        assert gen3d(*command, "-o", out, "--seeds", 0).code == 0
        for word in ("--resume", "--overwrite"):
            refused = gen3d(*command, "-o", out, "--seeds", 1, word)
            assert refused.code == 2
            assert f"{out}/pictures holds ball-0000, of which the labels of this set would say nothing" in refused.error
    Path("out/pictures/mine.png").write_bytes(b"")
    assert "holds mine.png" in gen3d(*command, "-o", "out", "--seeds", "0-1", "--resume").error


@pytest.mark.slow
def test_a_set_goes_to_a_url_as_it_goes_to_a_folder(run):
    store = fsspec.filesystem("memory")
    assert run("out", "--format", "eg3d").code == 0
    sent = run("memory://bucket/set/", "--format", "eg3d")
    assert sent.code == 0, sent.err
    assert sent.paths[-1] == "memory://bucket/set/pictures/dataset.json"
    found = {path.removeprefix("/bucket/set/"): store.cat(path) for path in store.find("/bucket/set")}
    assert {name: data for name, data in found.items() if name != "run.json"} == files("out")
    again = run("memory://bucket/set/", "--format", "eg3d", "--resume", "--seeds", "0-1")
    assert again.code == 0, again.err
    labels = json.loads(store.cat("/bucket/set/pictures/dataset.json"))["labels"]
    assert len(labels) == 2 * 2 * 3


def test_what_fails_is_listed_and_the_others_are_made(run, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, 1, Gen3DError("balls roll away"))
        outcome = run("out", "--format", "eg3d")
    assert outcome.code == 7
    assert "1 failed: ball 0" in outcome.error
    assert {name.split("/")[0] for name, _ in json.loads(Path("out/pictures/dataset.json").read_text())["labels"]} == {
        "cube-0000"
    }
    again = run("out", "--format", "eg3d", "--resume")
    assert again.code == 0, again.err
    assert len(json.loads(Path("out/pictures/dataset.json").read_text())["labels"]) == 6


def test_what_is_suggested_next_can_be_typed(gen3d, tiny_folder):
    outcome = gen3d("dataset", tiny_folder, *LIGHT, "--class", "ball", "-o", "my chairs")
    assert "--path 'my chairs/ball-0000/transforms.json'" in outcome.err
    truncated = gen3d("dataset", tiny_folder, *LIGHT, "--class", "ball", "--psi", 0.5, "-o", "truncated")
    assert "--class ball --seeds 0 --psi 0.5 --path truncated/" in truncated.err
    sent = gen3d("dataset", tiny_folder, *LIGHT, "--class", "ball", "-o", "memory://bucket/set")
    assert sent.code == 0
    assert "Next:" not in sent.err


@pytest.mark.parametrize("error", [PlaceError("the disk is full"), MissingDependencyError("there is no library")])
def test_what_all_others_would_meet_too_ends_the_set(gen3d, tiny_folder, monkeypatch, error):
    calls = failing(monkeypatch, 1, error)
    outcome = gen3d("dataset", tiny_folder, *LIGHT, "--class", "all", "-o", "out")
    assert outcome.code == error.exit_code
    assert outcome.error == f"error: {error}"
    assert len(calls) == 1


def test_a_dry_run_names_the_folders_and_makes_none(run, leftovers):
    outcome = run("out", "--format", "eg3d", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert outcome.paths[:2] == ["out/pictures/ball-0000", "out/objects/ball-0000"]
    assert leftovers() == []


def test_json_says_what_was_made(gen3d, tiny_folder):
    record = gen3d("dataset", tiny_folder, *LIGHT, "-o", "out", "--json").json
    assert record["outputs"] == ["out/ball-0000"] or record["outputs"] == ["out/cube-0000"]
    assert record["options"]["file_format"] == "nerfstudio"


def test_a_task_survives_json():
    options = DatasetOptions(pitch_range=(-5.0, 40.0), include=("depth",), splats=True)
    task = ObjectTask(model="shapes", base=None, sample=Sample(3, 1, "chair"), psi=0.7, options=options, target="out")
    assert ObjectTask.from_dict(json.loads(json.dumps(task.to_dict()))) == task


@pytest.mark.slow
def test_two_workers_make_the_bytes_of_one(tmp_path):
    options = ("--views", 3, "--size", 24, "--resolution", 24, "--points", 50, "--format", "3dgp")
    found, _ = same_with_workers(tmp_path, "dataset", "shapes", "--class", "mug", "--seeds", "0-1", *options)
    assert {"pictures/dataset.json", "pictures/mug-0001/002_depth.png", "objects/mug-0001/mesh.glb"} <= set(found)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--format", "nerf"), "format is 'nerf'; choose from nerfstudio, colmap, eg3d, 3dgp, blender"),
        (("--cameras", "dome"), "cameras is 'dome'; choose from sphere, path, model"),
        (("--views", 0), "views is 0; it must lie in 1..1,000"),
        (("--views", 2, "--format", "blender"), "for training, validation and test; try --views 3"),
        (("--size", 5000), "size is 5000; it must lie in 1..2048"),
        (("--pitch-range", "10"), "two numbers in degrees, such as -10,60; got '10'"),
        (("--pitch-range", "50,10"), "must rise and lie in -90..90 degrees"),
        (("--pitch-range", "0,10", "--cameras", "model"), "leave --pitch-range out, or choose --cameras sphere"),
        (("--path", "spiral"), "'spiral' is a path; add --cameras path"),
        (("--cameras", "path", "--path", "spirl"), "did you mean spiral?"),
        (("--cameras", "model", "--fov", 30), "have their own lenses; leave --fov out"),
        (("--include", "depht"), "include is 'depht'; choose from depth, depth-float"),
        (("--include", ","), "nothing is named to be included"),
        (("--points", 0), "points is 0"),
        (("--resolution", 4), "4"),
        (("--include", "masks", "--points", 5), "none are written; leave --points out, or add points to --include"),
        (("--include", "masks", "--resolution", 64), "leave --resolution out, or add mesh or points to --include"),
        (("--class", "bal"), "ball"),
        (("-o", "set.zip"), "a set is a folder, and set.zip names a file; try set"),
    ],
)
def test_bad_input_is_one_line_before_any_work(gen3d, tiny_folder, leftovers, options, told):
    outcome = gen3d("dataset", tiny_folder, *options)
    assert outcome.code == 2
    assert told in outcome.error
    assert leftovers() == []


def test_cameras_far_away_are_refused_where_millimetres_overflow(gen3d, tiny_folder, tmp_path):
    far = [{"file_path": "a.png", "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 50], [0, 0, 0, 1]]}]
    (tmp_path / "far.json").write_text(json.dumps({"camera_angle_x": 0.05, "frames": far}))
    outcome = gen3d("dataset", tiny_folder, "--cameras", "path", "--path", "far.json", "--views", 1)
    assert outcome.code == 2
    assert "leave depth out: --include depth-float,normals,masks,points,mesh" in outcome.error


def test_lenses_that_differ_do_not_fit_into_one_file_of_nerfs(gen3d, tiny_folder, tmp_path):
    frames = [
        {"file_path": f"{i}.png", "camera_angle_x": 0.3 + 0.1 * i, "transform_matrix": np.diag([1.0] * 4).tolist()}
        for i in range(3)
    ]
    for frame in frames:
        frame["transform_matrix"][2][3] = 2.7
    (tmp_path / "zoom.json").write_text(json.dumps({"frames": frames}))
    command = ("dataset", tiny_folder, "--cameras", "path", "--path", "zoom.json", "--views", 3)
    refused = gen3d(*command, "--format", "blender")
    assert refused.code == 2
    assert "one centred lens for all pictures" in refused.error


def test_rolled_cameras_do_not_fit_into_labels_of_yaw_and_pitch(gen3d, tiny_folder, tmp_path):
    rolls = [Camera.look_at((0, 0, 2.7), up=(up, 1, 0), fov_y_deg=20) for up in (0.0, 1.0)]
    write_transforms(tmp_path / "rolled.json", stack_cameras(rolls))
    command = ("dataset", tiny_folder, "--cameras", "path", "--path", "rolled.json", "--views", 2, "--dry-run")
    refused = gen3d(*command, "--format", "3dgp")
    assert refused.code == 2
    assert "camera 1 is rolled by 45 degrees, and yaw and pitch say nothing of that" in refused.error
    assert gen3d(*command, "--format", "eg3d").code == 0


def test_nothing_that_stands_there_is_lost(run, leftovers):
    assert run("out").code == 0
    before = files("out")
    refused = run("out")
    assert refused.code == 2
    assert "2 of 2 outputs exist already" in refused.error
    assert "were made with different views" in run("out", "--views", 4, "--resume").error
    Path("out/ball-0000/mine.txt").write_text("notes")
    assert "holds more than an earlier output (mine.txt)" in run("out", "--overwrite").error
    assert {name: data for name, data in files("out").items() if "mine" not in name} == before
