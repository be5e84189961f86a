"""The example that trains from pictures: its depth maps, what it measures, and a queue that can be killed."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.building import build_generator
from tests.training.tiny import tiny_recipe

FOLDER = str(Path(__file__).parents[2] / "examples" / "train_from_pictures")


@pytest.fixture
def example(monkeypatch):
    """Import a script of the example by its name."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name):
        for one in ("make_pictures", "make_chairs", "measure", "compare", "export"):
            monkeypatch.delitem(sys.modules, one, raising=False)
        return importlib.import_module(name)

    return load


def test_what_is_empty_is_as_far_as_can_be(example):
    coverage = torch.zeros(2, 1, 16, 16)
    coverage[:, :, 4:12, 4:12] = 1
    random = torch.Generator().manual_seed(0)
    depth = example("make_pictures").estimated(torch.full_like(coverage, 2.6), coverage, random)
    assert bool((depth[coverage == 0] == 1).all())
    assert 0.3 < float(depth[coverage == 1].median()) < 0.6


def test_cameras_near_one_view_are_a_bell(example):
    make = example("make_pictures")
    angles = make.draw_poses(4000, torch.Generator().manual_seed(0), bell=True).angles
    assert angles[:, :2].mean(0).tolist() == pytest.approx([0.0, 1.25], abs=0.02)
    assert angles[:, :2].std(0).tolist() == pytest.approx([0.35, 0.12], abs=0.02)


def test_chairs_of_artists_become_pictures_with_depth(example, furniture_set, tmp_path):
    make = example("make_chairs")
    (entry,) = make.chairs_in(furniture_set.parent)
    front = Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=20.0)
    picture, coverage, distance = make.drawn(make.Model.read(entry.path), front, 32)
    side = 0.46 / np.linalg.norm((0.5, 0.8, 0.4))
    assert float(distance[0, 16, 16]) == pytest.approx(2.7 - 0.4 * side, abs=1e-3)
    assert bool((distance[coverage == 0] == 5.4).all())
    assert bool((picture[:, coverage[0] == 0] == 1).all())
    make.main([str(tmp_path / "chairs"), "--sets", str(furniture_set.parent), "--views", "3", "--resolution", "32"])
    pictures = open_pictures(tmp_path / "chairs", load_recipe("3dgp", small=True, resolution=32).data)
    assert pictures.labels.class_names == ("chair",)
    batch = pictures.batch(np.arange(3))
    assert batch.images.shape == (3, 3, 32, 32)
    assert 0.2 < float(batch.depth[0, 0, 16, 16] / 2 + 0.5) < 0.5
    assert float(batch.depth[0, 0, 0, 0]) == pytest.approx(1, abs=1e-4)


def boxes(measure, *edges):
    """Flat squares at distance 2.5 whose left edges lie where they are told, the same from every view."""
    opacity = torch.zeros(len(measure.YAWS), len(edges), 20, 20)
    for index, edge in enumerate(edges):
        opacity[:, index, 5:15, edge : edge + 10] = 1
    slope = torch.linspace(2.3, 2.7, 20).expand_as(opacity)
    shades = torch.linspace(0, 1, len(edges))[:, None, None, None].expand(-1, 3, 20, 20)
    return measure.Seen(opacity, slope, shades)


def test_shapes_agree_with_themselves_and_not_with_others(example):
    measure = example("measure")
    one, other = boxes(measure, 0, 0), boxes(measure, 5, 5)
    alike = measure.agreement(one, one)
    assert alike["silhouette_overlap"] == [1.0] * 5
    assert alike["depth_correlation"] == [1.0] * 5
    assert alike["sameness"] == [1.0, 1.0]
    assert measure.agreement(one, other)["silhouette_overlap"] == [pytest.approx(1 / 3, abs=1e-3)] * 5
    assert boxes(measure, 0, 5).sameness == pytest.approx(1 / 3)
    flat = measure.Seen(one.opacity, torch.full_like(one.opacity, 2.5), one.pictures)
    assert boxes(measure, 0).non_flatness > flat.non_flatness


def test_colours_are_compared_where_there_is_an_object(example):
    measure = example("measure")
    seen = boxes(measure, 0, 5)
    assert seen.colour_spread == pytest.approx(0.5)
    seen.pictures = torch.where(seen.opacity[0, :, None] > 0, 0.3, seen.pictures)
    assert seen.colour_spread == pytest.approx(0.0, abs=1e-6)


def test_detail_is_the_power_of_fine_stripes(example):
    measure = example("measure")
    side = torch.arange(64) / 64
    coarse, fine = (torch.cos(2 * torch.pi * cycles * side).expand(3, 64, 64) for cycles in (3, 12))
    seen = measure.Seen(torch.ones(5, 1, 64, 64), torch.ones(5, 1, 64, 64), (coarse + 0.5 * fine)[None])
    assert seen.spectrum == pytest.approx([0, 0.5, 0, 0.125, 0], abs=1e-6)
    assert seen.detail == pytest.approx(0.125)


def test_cameras_are_as_far_from_the_truth_as_they_are_shifted(example):
    measure = example("measure")
    truth = np.stack([np.linspace(-0.5, 0.5, 500), np.full(500, 1.2)], -1)
    assert measure._earth_movers(truth[:, 0] + 0.3, truth[:, 0]) == pytest.approx(0.3)
    assert measure._earth_movers(2 * truth[:, 0], truth[:, 0]) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("recipe", "axis"), [("epigraf", "x"), ("3dgp", "z"), ("geometry-aware", "z")])
def test_objects_are_seen_from_where_their_family_has_the_front(example, recipe, axis):
    measure = example("measure")
    told = load_recipe(recipe, small=True, changes=["cameras.identity_steps=0"])
    generator = build_generator(told, ("car",))
    assert measure.front_of(generator) == axis
    position = generator.default_camera().position
    assert float(position["xyz".index(axis)]) > 2.5  # the middle of the training cameras
    truth = np.stack([np.linspace(-1, 1, 100), np.full(100, 1.35)], -1)
    assert measure.camera_distances(generator, truth)["yaw_prior"] < 0.1


def test_every_variant_is_a_recipe_that_differs_from_the_other(example):
    compare = example("compare")
    for name, comparison in compare.COMPARISONS.items():
        told = [
            load_recipe(one.recipe, small=True, changes=(*compare.SHARED, *one.changes)).to_dict()
            for one in comparison.variants.values()
        ]
        assert all(one != other for index, one in enumerate(told) for other in told[:index]), name


def measured(overlap):
    shape = {"silhouette_overlap": [overlap] * 5, "depth_correlation": [0.5] * 5}
    return {
        "car": {
            **shape,
            "non_flatness": [2.0, 4.0],
            "sameness": [0.9, 0.6],
            "colour_spread": [0.1, 0.2],
            "detail": [1.0, 2.0],
        },
        "fd_encoder": 3.0,
    }


def test_a_queue_goes_on_where_it_stopped_and_reports(example, tmp_path, monkeypatch):
    compare = example("compare")
    trained = []

    def train(pictures, folder, options):
        assert options.resume == (folder / "latest").exists()
        assert options.start is None or (Path(options.start) / "latest").exists()
        assert set(compare.SHARED) <= set(options.changes)
        assert options.finish == (folder.name.startswith("main-"))
        (folder / "latest").mkdir(parents=True, exist_ok=True)
        trained.append((folder.name, next(one for one in options.changes if "processor_minutes" in one)))
        if len(trained) == 2:
            raise KeyboardInterrupt

    model = SimpleNamespace(settings=SimpleNamespace(provenance={"thousand_pictures": 1.0}))
    monkeypatch.setattr(compare, "train", train)
    monkeypatch.setattr(compare, "load_generator", lambda *_, **__: model)
    monkeypatch.setattr(compare.measure, "measure", lambda *_, **__: measured(0.1 * len(trained)))
    command = [str(tmp_path), "--pictures", "three", "--only", "distillation", "--seeds", "0", "--minutes", "12"]
    with pytest.raises(KeyboardInterrupt):
        compare.main(command)
    compare.main(command)
    until = [f"run.processor_minutes={end}" for end in ("5.0", "10.0", "10.0", "12.0")]
    assert trained[:4] == [("distillation-distilled-0", one) for one in until]
    assert [name for name, _ in trained[4:]] == ["distillation-plain-0"] * 3
    results = json.loads((tmp_path / "results.json").read_text())
    curve = results["distillation"]["silhouette overlap"]["distilled-0"]
    assert [minutes for minutes, _ in curve] == [5, 10, 12]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Does distillation pay?" in page
    assert page.count("<svg") == 7
    compare.main(command)
    assert len(trained) == 7  # nothing is left to do
    compare.main([*command[:4], "main", "--seeds", "1", "--minutes", "5", "--long-minutes", "7"])
    first, second = ["main-finish-1"] * 2, ["main-right-pitch-1"] * 2
    assert [name for name, _ in trained[7:]] == ["pitch-recipe-1", *first, "pitch-right-1", *second]


def test_a_run_becomes_a_model_to_keep(example, tmp_path):
    export, folders = example("export"), [tmp_path / name for name in ("first", "finer")]
    generator = build_generator(
        tiny_recipe("3dgp", "generator.camera_generator=false", "cameras.identity_steps=0"), ("a", "b")
    )
    for folder in folders:
        generator.save(folder / "latest")
        (folder / "log.jsonl").write_text('{"kimg": 1}\n{"kimg": 2.5, "processor_seconds": 90.0}\n')
    (tmp_path / "card.md").write_text("# toys")
    command = [str(folders[1]), "--after", str(folders[0]), "-o", str(tmp_path / "toys")]
    export.main([*command, "--card", str(tmp_path / "card.md")])
    kept = load_generator(tmp_path / "toys", device="cpu")
    assert (kept.settings.provenance["thousand_pictures"], kept.settings.provenance["processor_minutes"]) == (5.0, 3.0)
    assert kept.settings.licence == "Apache-2.0"
    assert kept.default_view.yaw_deg == export.YAW_DEG
    views, half = kept.settings.trusted_views, 0.99 * np.rad2deg(1.0)  # cameras of the prior: evenly within 1 radian
    assert [views.yaw_min_deg, views.yaw_max_deg] == pytest.approx([-half, half], abs=1.0)
    assert (tmp_path / "toys" / "README.md").read_text() == "# toys"


def test_a_run_whose_cameras_are_in_one_place_is_first_seen_from_there(example, tmp_path):
    torch.manual_seed(0)
    build_generator(tiny_recipe("3dgp", "cameras.identity_steps=0"), ("a", "b")).save(tmp_path / "run" / "latest")
    (tmp_path / "run" / "log.jsonl").write_text('{"kimg": 1, "processor_seconds": 60.0}\n')
    example("export").main([str(tmp_path / "run"), "-o", str(tmp_path / "toys")])
    kept = load_generator(tmp_path / "toys", device="cpu").settings
    assert kept.trusted_views.yaw_max_deg - kept.trusted_views.yaw_min_deg < 57
    assert kept.trusted_views.yaw_min_deg <= kept.default_view.yaw_deg <= kept.trusted_views.yaw_max_deg
