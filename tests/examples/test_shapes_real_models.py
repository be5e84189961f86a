"""Models that artists made: read from a set as it is unpacked, drawn, and judged."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.media.images import read_image
from gen3d_tools.photos.photo import Photo


@pytest.fixture(scope="module")
def real_models(shapes_on_path):
    import real_models

    return real_models


def test_a_set_gives_the_models_of_our_classes_by_their_names(real_models, furniture_set):
    chair, lamp = real_models.read_set(furniture_set)
    assert (chair.class_name, chair.name, chair.creator) == ("chair", "Oak chair", "Somebody")
    assert (lamp.class_name, lamp.number, lamp.path.name) == ("lamp", 3, "lamp.obj")


def test_a_model_is_drawn_in_its_colours_with_its_front_towards_z(real_models, furniture_set):
    model = real_models.Model.read(real_models.read_set(furniture_set)[0].path)
    assert np.linalg.norm(model.corners, axis=-1).max() == pytest.approx(0.46)
    for yaw, color in ((0.0, (0, 0, 1)), (90.0, (1, 0, 0)), (180.0, (1, 0, 0))):
        picture, cover = model.draw(Camera.from_spherical(yaw, 0.0, 2.7, fov_y_deg=20.0), 32, lit=False)
        torch.testing.assert_close(picture[:, 16, 16], torch.tensor(color, dtype=torch.float32))
        assert torch.equal(picture[:, 0, 0], torch.ones(3))
        width, height = (int((cover[0] > 0.5).any(axis).sum()) for axis in (0, 1))
        assert height > width
    lit = model.draw(Camera.from_spherical(90.0, 0.0, 2.7, fov_y_deg=20.0), 32)[0][:, 16, 16]
    assert 0.3 < float(lit[0]) < 1


@pytest.mark.slow
def test_a_direction_is_right_within_twenty_degrees_of_where_the_model_looks_the_same(real_models, furniture_set):
    chair, lamp = real_models.read_set(furniture_set)
    for entry, turned_round in ((chair, False), (lamp, True)):
        true = float(real_models.camera_of(entry).spherical()[0])
        turns = real_models.same_turns(entry.read(), entry)
        assert 0.0 in turns
        assert real_models.direction_right(entry, turns, true + 19)
        assert real_models.direction_right(entry, turns, true - 341)
        for gap in (24, 90, 180):
            assert real_models.direction_right(entry, turns, true + gap) == turned_round


def test_a_square_thing_may_be_off_by_a_quarter_turn_and_twenty_degrees(real_models, furniture_set):
    entry = real_models.read_set(furniture_set)[0]
    box = trimesh.creation.box((0.4, 0.6, 0.4)).triangles
    count = len(box)
    square = real_models.Model(
        box, np.ones((count, 3, 3)), np.zeros((count, 3, 2)), np.zeros(count, int), [np.zeros(3)]
    )
    turns, true = real_models.same_turns(square, entry), float(real_models.camera_of(entry).spherical()[0])
    assert set(turns) >= {0.0, 90.0, 180.0, 270.0}
    assert real_models.direction_right(entry, turns, true + 90 - 19)
    assert not real_models.direction_right(entry, turns, true + 45)


@pytest.mark.parametrize("angle_deg", [0, 60, 130, 250])
def test_the_handle_of_a_mug_is_turned_to_x_and_a_cup_stays(real_models, furniture_set, angle_deg):
    upright = trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0))
    cup = trimesh.creation.cylinder(0.4, 1.0, transform=upright)
    handle = trimesh.creation.box((0.3, 0.4, 0.1))
    handle.apply_translation((0.5, 0.0, 0.0))
    mug = trimesh.util.concatenate([cup, handle])
    mug.apply_transform(trimesh.transformations.rotation_matrix(np.radians(angle_deg), (0, 1, 0)))
    path = furniture_set / "things" / "mug.obj"
    for mesh, moved in ((mug, True), (cup, False)):
        mesh.export(path)
        as_it_is = real_models.Model.read(path)
        turned = replace(real_models.read_set(furniture_set)[0], class_name="mug", path=path).read()
        assert np.allclose(turned.corners, as_it_is.corners) == (not moved or angle_deg == 0)
        if moved:
            corners = turned.corners.reshape(-1, 3)
            farthest = corners[corners[:, 0] > corners[:, 0].max() - 1e-3]
            assert np.ptp(farthest[:, 1]) == pytest.approx(4 * np.ptp(farthest[:, 2]), rel=0.01)  # the handle's end
            assert farthest[:, 2].sum() == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_the_log_is_gone_on_with_and_becomes_a_table(real_models, furniture_set, tmp_path, capsys):
    out = tmp_path / "out"
    for _ in range(2):
        real_models.main([str(furniture_set.parent), "--out", str(out)])
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["true_class"] for row in rows] == ["chair", "lamp"]
    assert all(set(row["encoder"]) == {"class", "yaw_right", "familiarity"} for row in rows)
    table = (out / "table.md").read_text()
    assert "| chair | 1 |" in table
    assert "| **all** | 2 |" in table
    assert capsys.readouterr().out.endswith(table)


@pytest.mark.slow
def test_an_inversion_is_judged_from_views_that_turn_with_its_camera(real_models, furniture_set, tmp_path, monkeypatch):
    asked = []

    def found(generator, photo, **options):
        asked.append(options)
        [field] = generator.fields(generator.latents([0], ["chair"]))
        camera = real_models.camera_of(real_models.read_set(furniture_set)[0])
        nothing = torch.ones(3, 8, 8)
        return SimpleNamespace(
            field=field, camera=camera, class_name="chair", fit="poor", photos=(Photo(nothing, nothing[:1]),)
        )

    monkeypatch.setattr(real_models, "invert", found)
    out = tmp_path / "out"
    real_models.main([str(furniture_set), "--out", str(out), "--invert", "--preset", "fast"])
    assert asked == [{"settings": "fast", "background": "border"}] * 2
    row = json.loads((out / "log.jsonl").read_text().splitlines()[0])["inversion"]
    assert (row["class"], row["yaw_right"]) == ("chair", True)
    assert 0.3 < row["novel_iou"] < 1
    assert read_image(out / "sheet.png").shape[0] == 3


def test_an_inversion_s_scores_are_averaged(real_models):
    scores = {"class": "chair", "yaw_right": True, "input_iou": 0.8, "input_psnr": 20.0, "novel_iou": 0.6}
    alone = {"class": "lamp", "yaw_right": False, "familiarity": 0.1}
    rows = [
        {"true_class": "chair", "encoder": alone, "inversion": scores | {"input_iou": value}} for value in (0.8, 0.6)
    ]
    assert "| chair | 2 | 100% | 100% | 0% / 0% | 0.70 | 20.0 | 0.60 |" in real_models.table(rows)


def test_a_folder_without_sets_is_refused(real_models, tmp_path, capsys):
    with pytest.raises(SystemExit):
        real_models.main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert "unpack the .sh3f files" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_layers_of_a_model_are_lit_like_those_of_traced_things(real_models, furniture_set):
    import artists
    import encoder_data

    generator = torch.Generator().manual_seed(0)
    scenes = encoder_data.model_scenes(real_models.read_set(furniture_set)[0], 3, generator)
    alpha, albedo = scenes.tensors["alpha"], scenes.tensors["albedo"].float()
    assert (scenes.tensors["label"] == encoder_data.CLASSES.index("chair")).all()
    assert scenes.tensors["z"].isnan().all()
    covered = (alpha == 255).expand_as(albedo)
    assert albedo[covered].view(-1).unique().numel() >= 2  # its own two colours, whatever order channels come in
    normal = scenes.tensors["normal"].float() / 127.5 - 1
    torch.testing.assert_close(normal.norm(dim=1)[alpha[:, 0] == 255].mean(), torch.tensor(1.0), atol=0.02, rtol=0)
    pictures = scenes.lit(generator)
    assert pictures.image.shape == (3, 3, encoder_data.SIZE, encoder_data.SIZE)
    assert scenes.tensors["lit"].shape[1] == artists.LIGHTS


def test_strangers_among_the_models_are_neither_ours_nor_near(furniture_set):
    import artists

    (furniture_set / artists.CATALOGUE).write_text(
        "".join(f"name#{i}={name}\nmodel#{i}=/{i}.obj\n" for i, name in enumerate(("Bookcase", "Sofa", "Oak chair"), 1))
    )
    names = [entry.name for entry in artists.read_set(furniture_set, artists.OTHERS)]
    assert names == ["Bookcase"]
