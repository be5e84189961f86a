"""Inversions against what is known: angles around the circle, turned views, tables class by class, the command."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.inversion.presets import preset
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.evaluate.inversions import judging
from gen3d_tools.workflows.evaluate.inversions.judging import judge_encoder, judge_inversion, shown_views, turned
from gen3d_tools.workflows.evaluate.inversions.run import InversionPlan, evaluate_inversions
from gen3d_tools.workflows.evaluate.inversions.tables import encoder_table, inversion_table
from gen3d_tools.workflows.evaluate.inversions.truth import FolderTruth, read_truth, write_truth
from gen3d_tools.workflows.invert.run import WorkOptions
from gen3d_tools.workflows.running.runs import RunOptions

NAMES = ("car", "mug")
YAW = 40.0


@pytest.fixture(autouse=True)
def _coarse_meshes(monkeypatch):
    monkeypatch.setattr(judging, "MESH_RESOLUTION", 16)


def known(tmp_path, **values):
    return FolderTruth(folder=tmp_path, yaw_deg=YAW, pitch_deg=10.0, class_name="car", **values)


def test_a_turned_camera_stands_where_its_yaw_says():
    camera = Camera.from_spherical(20.0, 30.0, 2.7, fov_y_deg=20.0)
    expected = Camera.from_spherical(80.0, 30.0, 2.7, fov_y_deg=20.0)
    torch.testing.assert_close(turned(camera, 60.0).cam2world, expected.cam2world, atol=1e-5, rtol=1e-5)


def test_a_direction_is_right_within_ten_degrees_around_the_circle(tmp_path):
    truth = known(tmp_path)
    assert truth.direction_right(YAW + 9.9)
    assert truth.direction_right(YAW - 360 - 9.9)
    assert not truth.direction_right(YAW + 11)
    assert FolderTruth(folder=tmp_path).direction_right(0) is None


def test_a_direction_is_right_where_the_object_looks_the_same(tmp_path):
    """A strip of an object that repeats after half a turn."""
    turns = np.arange(0, 360, 2.0)
    level = (128 + 100 * np.cos(np.radians(2 * turns))).astype(np.uint8)
    pixels = np.repeat(level, 4)[None, :, None].repeat(4, 0).repeat(3, 2)
    Image.fromarray(pixels).save(tmp_path / "strip.png")
    truth = known(tmp_path, around=tmp_path / "strip.png", step_deg=2.0)
    assert truth.direction_right(YAW + 180)
    assert truth.direction_right(YAW - 178)
    assert not truth.direction_right(YAW + 90)
    assert not truth.direction_right(YAW + 170)


def test_the_encoder_is_judged_around_the_circle(tmp_path):
    yaw_logits = torch.full((1, 72), -20.0)
    yaw_logits[0, int((YAW + 180) // 5)] = 5.0
    zero = torch.zeros(1)
    pitch = torch.tensor([13.0])
    answer = Prediction(
        torch.eye(2)[:1], yaw_logits, pitch, zero[:, None], torch.zeros(1, 4), zero, zero, zero, zero[:, None], ()
    )
    row = judge_encoder(known(tmp_path), answer, NAMES)
    assert row["class"] == "car"
    assert row["yaw_right"]
    assert row["yaw_error"] <= 2.6
    assert row["pitch_error"] == pytest.approx(3, abs=1e-4)
    assert row["one_of_3_within_10"]


def result_of(generator, camera, photo):
    return InversionResult(
        ws=generator.latents([0], [0]),
        camera=camera,
        class_index=0,
        generator=generator,
        base=generator,
        photos=(Photo(photo, torch.ones(1, *photo.shape[1:])),),
        cameras=camera.flatten(),
        settings=preset("fast"),
        metrics={"fit": "poor"},
        warnings=("strange",),
    )


def test_what_was_found_is_compared_with_all_that_is_known(tiny_generator, tmp_path):
    camera = Camera.from_spherical(YAW + 5.0, 12.0, 2.7, fov_y_deg=20.0)
    [field] = tiny_generator.fields(tiny_generator.latents([0], [0]))
    views = {}
    for turn in (-30.0, 180.0, 30.0):
        views[turn] = tmp_path / f"{turn:g}.png"
        write_image(views[turn], render(field, turned(camera, turn), resolution=16, supersample=2).rgb)
    photo = render(field, camera, resolution=16, supersample=2).rgb
    row, pictures = judge_inversion(known(tmp_path, views=views), photo, result_of(tiny_generator, camera, photo))
    assert row["yaw_error"] == pytest.approx(5, abs=1e-3)
    assert row["pitch_error"] == pytest.approx(2, abs=1e-3)
    assert row["input_two"] == 100  # the very picture
    assert row["ssim_two"] == pytest.approx(1, abs=1e-6)
    assert row["novel_two"] > 45  # but for rounding to bytes
    assert not row["improved"]
    assert row["mesh_iou"] is None
    assert "lpips_two" not in row
    assert len(pictures) == 3 + 2 * 2
    json.dumps(row)


def test_a_distance_is_measured_where_there_is_one(tiny_generator, tmp_path):
    class Halves:
        name = "halves"

        def __call__(self, a, b):
            return torch.full((len(a),), 0.5)

    camera = tiny_generator.default_camera()
    photo = torch.ones(3, 16, 16)
    row, _ = judge_inversion(FolderTruth(folder=tmp_path), photo, result_of(tiny_generator, camera, photo), Halves())
    assert row["lpips_one"] == row["lpips_two"] == 0.5
    assert {"yaw_error", "novel_two", "improved"}.isdisjoint(row)
    assert row["yaw_right"] is None


def test_people_see_a_small_turn_and_the_farthest():
    assert shown_views([-60.0, -30.0, 30.0, 60.0, 180.0]) == [1, 4]
    assert shown_views([90.0]) == [0]


def row(name="car", found="car", novel=(20.0, 24.0)):
    return {
        "true_class": name,
        "cpu_seconds": 40.0,
        "encoder": {
            "class": found,
            "yaw_right": True,
            "one_of_3_within_10": True,
            "yaw_error": 2.0,
            "pitch_error": 1.0,
            "familiarity": 0.9,
        },
        "inversion": {
            "class": found,
            "yaw_right": found == name,
            "input_one": 23.0,
            "input_two": 31.0,
            "novel_one": novel[0],
            "novel_two": novel[1],
            "improved": novel[1] > novel[0],
            "mesh_iou": 0.9,
        },
    }


def test_the_table_averages_per_class_and_over_all():
    lines = inversion_table([row(), row(found="mug", novel=(24.0, 20.0)), row("mug", "mug")], NAMES).splitlines()
    assert "| car | 2 | 50% | 50% |" in lines[2]
    assert "22.0 -> 22.0 | 50% | 0.900 | 40 |" in lines[2]
    assert "| mug | 1 | 100% |" in lines[3]
    assert "| **all** | 3 | 67% |" in lines[4]
    assert len({line.count("|") for line in lines}) == 1


def test_a_photo_that_is_not_rebuilt_yet_counts_for_the_encoder_alone():
    only = {key: value for key, value in row("mug", "mug").items() if key != "inversion"}
    assert "mug" not in inversion_table([row(), only], NAMES)
    assert "| mug | 1 | 100% |" in encoder_table([row(), only], NAMES)


def test_what_is_not_known_is_a_dash():
    bare = {"true_class": None, "cpu_seconds": 1.0, "inversion": {"class": "car", "input_one": 1.0, "input_two": 2.0}}
    assert "| **all** | 1 | - | - | - / - | 1.0 -> 2.0 | - -> - | - | - | 1 |" in inversion_table([bare], NAMES)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"b.png": {}}, "speaks of b.png, which is no photo"),
        ({"a.png": {"colour": 1}}, "must be a table with the keys"),
        ({"a.png": {"yaw_deg": "left"}}, "a value that cannot be meant"),
        ({"a.png": {"views": {"30": "gone.png"}}}, "names .*gone.png, which is not there"),
        ({"a.png": {"around": {"picture": "a.png", "step_deg": 0}}}, "an angle that is none"),
    ],
)
def test_a_truth_that_is_none_is_refused(tmp_path, table, message):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    write_truth(tmp_path, table)
    with pytest.raises(InputError, match=message):
        read_truth(tmp_path, ["a.png"])


@pytest.mark.slow
def test_photos_of_a_folder_are_inverted_and_measured_and_kept(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = load_generator(tiny_folder, device="cpu")
    photos = tmp_path / "photos"
    photos.mkdir()
    camera = generator.default_camera()
    for index in range(2):
        [field] = generator.fields(generator.latents([index], [index]))
        write_image(photos / f"{index}.png", render(field, camera, resolution=32).rgb)
        write_image(photos / "view.webp", render(field, turned(camera, 30.0), resolution=32).rgb, overwrite=True)
        (photos / "views").mkdir(exist_ok=True)
        (photos / "view.webp").rename(photos / "views" / f"{index}.webp")
    truths = {
        f"{index}.png": {"class": generator.class_names[index], "yaw_deg": 35.0, "views": {"30": f"views/{index}.webp"}}
        for index in range(2)
    }
    write_truth(photos, truths)

    def found(generator, path, **settings):
        """What an inversion might give: the true object from 5 degrees beside it."""
        result = result_of(generator, turned(camera, 5.0), read_image(path))
        return dataclasses.replace(result, ws=generator.latents([int(path.stem)], [int(path.stem)]))

    monkeypatch.setattr("gen3d_tools.workflows.evaluate.inversions.run.invert", found)
    plan = InversionPlan(model=str(tiny_folder), work=WorkOptions(preset="fast", steps=2))
    run = evaluate_inversions(photos, plan, options=RunOptions(out="report", device="cpu"))
    measures = run.details["inversion"]["measures"]
    assert {"input PSNR", "input SSIM", "novel-view PSNR"} <= set(measures)
    assert measures["yaw error"]["value"] == pytest.approx(5, abs=1e-3)
    assert measures["class right"]["value"] == 50  # the fake always says the first class
    assert (tmp_path / "report/table.md").read_text().startswith("| class | photos |")
    assert "Best and worst" in (tmp_path / "report/index.html").read_text()
    monkeypatch.setattr("gen3d_tools.workflows.evaluate.inversions.run.invert", lambda *_, **__: pytest.fail("again"))
    again = evaluate_inversions(photos, plan, options=RunOptions(out="report", device="cpu", overwrite=True))
    assert again.details["inversion"]["measures"] == measures
