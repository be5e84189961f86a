"""Results are models: what was found comes back, in a fresh process, and nothing else is taken for it."""

import copy
import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import gen3d_tools as g3
from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.checkpoints.results import DIFFERENCE_NAME
from gen3d_tools.errors import CheckpointError, Gen3DError, InputError, NotFoundError
from gen3d_tools.inversion.results import overview
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.inversion.results.storage import OVERVIEW_NAME, PHOTO_NAME, save_result
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.media.images import read_image
from gen3d_tools.metrics.pictures import psnr
from gen3d_tools.photos.photo import Photo
from gen3d_tools.workflows.running.runs import model_digest


def invented_result(folder):
    """A result as an inversion would give it; its tuning is made up."""
    base = g3.load_generator(folder, device="cpu")
    tuned = copy.deepcopy(base)
    random = torch.Generator().manual_seed(1)
    for parameter in tuned.backbone.synthesis.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=random))
    camera = Camera.from_spherical(-100, 30, 2.7, fov_y_deg=21)
    return InversionResult(
        ws=base.latents([3], ["cube"]) + 0.25,
        camera=camera,
        class_index=1,
        generator=tuned,
        base=base,
        photos=(Photo(torch.rand(3, 24, 24, generator=random), torch.ones(1, 24, 24), "a.png", ("small",)),),
        cameras=stack_cameras([camera]),
        settings=InversionSettings().changed(steps1=3),
        metrics={"fit": "poor", "psnr": float("inf")},
        history={"stage_one": [2.0, float("nan")], "stage_two": []},
        warnings=("made up",),
    )


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory):
    """A result and the folder it was saved to, beside its model. Both stay as they are."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(tiny_folder, place / "tiny")
    result = invented_result(place / "tiny")
    save_result(result, place / "result")
    return result, place


@pytest.fixture
def result(made):
    return made[0]


@pytest.fixture
def saved(made, tmp_path):
    """The folder, and its model beside it, to be changed."""
    shutil.copytree(made[1], tmp_path, dirs_exist_ok=True)
    return tmp_path / "result"


def test_a_result_comes_back_as_a_generator_of_its_object(result, saved):
    generator = g3.load_generator(saved, device="cpu")
    torch.testing.assert_close(generator.pivot.ws, result.ws, rtol=0, atol=0)
    torch.testing.assert_close(generator.default_camera().cam2world, result.camera.cam2world, rtol=0, atol=0)
    assert (generator.pivot.class_index, generator.class_names) == (1, ("ball", "cube"))
    pictures = [
        g3.render(g.fields(result.ws)[0], result.camera, resolution=32).rgb for g in (generator, result.generator)
    ]
    assert psnr(*pictures) > 45
    untuned = g3.render(result.pivot_field, result.camera, resolution=32).rgb
    assert psnr(untuned, pictures[1]) < 35


def test_the_fields_of_a_result_are_made_once(result):
    assert result.field is result.field
    assert result.pivot_field is result.pivot_field
    assert result.field is not result.pivot_field


@pytest.mark.slow
def test_it_loads_in_a_fresh_process_and_from_another_folder(result, saved):
    code = f"import gen3d_tools as g3, sys; g = g3.load_generator({str(saved)!r}); print(g.pivot.ws.sum().item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=saved)
    assert float(done.stdout) == result.ws.sum().item()


def test_model_and_result_can_move_together(saved, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "tiny").rename(moved / "tiny")
    saved.rename(moved / "result")
    assert g3.load_generator(moved / "result").pivot is not None


def test_a_result_of_an_earlier_version_still_loads_beside_its_model(saved, tmp_path):
    path = saved / "config.json"
    base = json.loads(path.read_text())["base"]
    assert base == {"source": "tiny", "path": None, "sha256": base["sha256"]}
    edited("base", base | {"source": "../tiny", "path": str(tmp_path / "tiny")})(saved)
    assert g3.load_generator(saved).pivot is not None


def test_nothing_in_a_result_says_where_it_was_made(saved, tmp_path):
    assert str(tmp_path) not in (saved / "config.json").read_text()
    assert "made" not in json.dumps(json.loads((saved / "config.json").read_text())["base"])


@pytest.mark.parametrize(
    "source",
    ["someone/tiny", "../../elsewhere/tiny", "{}/elsewhere/tiny", "elsewhere/tiny", "..", "", "tiny\0", "ti\ny"],
)
def test_a_result_is_followed_to_no_other_place_and_not_to_the_network(saved, tmp_path, monkeypatch, source):
    def opened(*_, **__):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("gen3d_tools.generators.source.download", opened)
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere" / "tiny"
    elsewhere.parent.mkdir()
    (tmp_path / "tiny").rename(elsewhere)
    base = json.loads((saved / "config.json").read_text())["base"]
    edited("base", base | {"source": source.format(tmp_path), "path": str(elsewhere)})(saved)
    with pytest.raises(NotFoundError, match="neither bundled nor beside the result") as caught:
        g3.load_generator(saved)
    assert "name it with base" in str(caught.value)
    assert str(caught.value).isprintable()
    assert g3.load_generator(saved, base=elsewhere).pivot is not None


def test_a_named_base_must_be_the_one_and_belongs_to_a_result(saved, tmp_path):
    with pytest.raises(CheckpointError, match="was tuned from another 'tiny'") as caught:
        g3.load_generator(saved, base="shapes")
    assert model_digest("shapes")[:12] not in str(caught.value)  # of other files nothing is prediction
    with pytest.raises(InputError, match="is a model itself"):
        g3.load_generator(tmp_path / "tiny", base="shapes")
    with pytest.raises(NotFoundError, match="no model 'nonsense'"):
        g3.load_generator(saved, base="nonsense")


def test_the_folder_says_how_it_came_about(saved):
    report = json.loads((saved / "config.json").read_text())["report"]
    assert report["photos"] == ["a.png"]
    assert report["class_name"] == "cube"
    assert report["metrics"] == {"fit": "poor", "psnr": None}
    assert report["losses"]["stage_one"] == [2.0, None]
    assert report["warnings"] == ["made up", "small"]
    assert report["settings"]["stage_one"]["steps"] == 3
    assert report["storage"]["picture_psnr_db"] > 45
    assert read_image(saved / PHOTO_NAME).shape == (3, 24, 24)
    assert read_image(saved / OVERVIEW_NAME).shape[2] > 7 * overview._SIZE


def test_a_changed_a_lost_and_a_tuned_base_are_refused_in_one_line(saved, tmp_path):
    model = tmp_path / "tiny"
    tensors = load_file(model / "model.safetensors")
    name = next(iter(tensors))
    save_file(tensors | {name: tensors[name] + 1}, model / "model.safetensors")
    with pytest.raises(CheckpointError, match="was tuned from another"):
        g3.load_generator(saved)
    shutil.rmtree(model)
    with pytest.raises(NotFoundError, match="neither bundled nor beside"):
        g3.load_generator(saved)
    shutil.copytree(saved, model)
    with pytest.raises(CheckpointError, match="a result itself"):
        g3.load_generator(saved)


def edited(key, value):
    def edit(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return edit


def with_tensors(**changes):
    def edit(folder):
        path = folder / DIFFERENCE_NAME
        tensors = {**load_file(path), **changes}
        save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edited("version", 2), "upgrade it"),
        (edited("surprise", 1), "unknown key surprise"),
        (edited("base", {"source": "shapes"}), "base: missing key path, sha256"),
        (edited("base", {"source": "x", "path": 3, "sha256": "0" * 64}), "base.path is 3, it must be null, or a text"),
        (edited("base", {"source": "x", "path": None, "sha256": "../x"}), "base.sha256 is '../x'"),
        (edited("camera", [0.0] * 25), "last row|rotation|cam2world|focal"),
        (edited("camera", [1e999] * 25), "Infinity is no number"),
        (edited("camera", [10**400] * 25), "a whole number of 401 digits"),
        (edited("camera", [1e300] * 25), r"camera\[0\] is 1e\+300"),
        (edited("report", {"metrics": {"fit": "good", "stage_one": {"psnr": []}}}), "metrics.stage_one.psnr is a list"),
        (edited("report", {"warnings": [["x"]]}), r"report.warnings\[0\] is a list of 1"),
        (edited("class_index", 2), "class 2 of 2"),
        (edited("class_index", True), "class_index is"),
        (edited("class_index", None), "class None of 2"),
        (edited("difference", {"encoding": "pickle", "tensors": []}), "difference.encoding is 'pickle'"),
        (edited("difference", {"encoding": "deflated rows of int8", "tensors": ["x"]}), "'x' is unknown"),
        (with_tensors(ws=torch.zeros(1, 2, 3)), "its latent is"),
        (with_tensors(ws=None), "it must hold"),
        (with_tensors(ws=torch.full((1, 2, 3), torch.nan)), "NaN"),
        (with_tensors(levels=torch.zeros(9)), "levels is"),
        (lambda folder: (folder / DIFFERENCE_NAME).write_bytes(b"x" * 40), "corrupt or cut short"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not valid JSON"),
        (lambda folder: (folder / DIFFERENCE_NAME).unlink(), f"holds no {DIFFERENCE_NAME}"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(saved, edit, words):
    edit(saved)
    with pytest.raises(Gen3DError, match=words) as caught:
        g3.load_generator(saved)
    assert "\n" not in str(caught.value)


def test_only_a_generator_from_disk_that_is_no_result_can_be_referred_to(result, saved, tiny_generator, tmp_path):
    for base, words in ((tiny_generator, "not loaded from disk"), (g3.load_generator(saved), "a result of an inv")):
        with pytest.raises(InputError, match=words):
            save_result(dataclasses.replace(result, base=base), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_result_replaces_another_only_when_asked(result, saved):
    with pytest.raises(InputError, match="add overwrite=True"):
        save_result(result, saved)
    save_result(result, saved, overwrite=True)


def test_nothing_remains_of_a_result_that_could_not_be_written(result, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gen3d_tools.inversion.results.storage.write_result", full)
    with pytest.raises(Gen3DError, match="the disk is full"):
        save_result(result, tmp_path / "new")
    assert not list(tmp_path.iterdir())
