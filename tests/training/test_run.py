"""Whole tiny runs: they learn something, go on where they stopped to the same numbers, and stop cleanly."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from gen3d_tools.errors import CheckpointError, Gen3DError, InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.recipe import load_recipe, recipe_names, stored_recipe
from gen3d_tools.training.run.building import build_generator
from gen3d_tools.training.run.folder import LATEST
from gen3d_tools.training.run.page import chart
from gen3d_tools.training.run.record import LOG_NAME, PARTIAL, Log
from gen3d_tools.training.run.snapshots import STATE_NAME, read_facts, read_state, write_state
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.train import TrainOptions, train
from tests.training.tiny import SMALLER, changes, tiny_recipe, write_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures")


def trainer_of(name, pictures, *more):
    recipe = tiny_recipe(name, *more)
    return Trainer(recipe, open_pictures(pictures, recipe.data))


def weights(trainer):
    networks = (trainer.generator, trainer.average, trainer.discriminator)
    return [value.clone() for network in networks for value in network.state_dict().values()]


@pytest.mark.slow
def test_thirty_steps_are_fifteen_and_fifteen(pictures, tmp_path):
    whole = trainer_of("3dgp", pictures)
    for _ in range(30):
        whole.step()
    half = trainer_of("3dgp", pictures)
    for _ in range(15):
        half.step()
    write_state(half, tmp_path, {"seconds": 1.0})
    resumed = trainer_of("3dgp", pictures)
    assert read_state(resumed, tmp_path) == {"seconds": 1.0}
    for _ in range(15):
        resumed.step()
    assert resumed.images == whole.images == 30 * 8
    assert all(torch.equal(a, b) for a, b in zip(weights(resumed), weights(whole), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epigraf", "3dgp", "geometry-aware"])
def test_every_recipe_moves_all_that_it_trains(pictures, name):
    trainer = trainer_of(name, pictures, "optimisation.batch=4")
    before = {key: value.clone() for key, value in trainer.generator.named_parameters()}
    figures = [trainer.step().means() for _ in range(2)]
    still = [key for key, value in trainer.generator.named_parameters() if torch.equal(value, before[key])]
    # Adam's first moment is off: a parameter stays only where it has no gradient at all.
    assert all("noise" in key or "depth_adaptor" in key or "look_at" in key for key in still), still
    assert all(value == value for row in figures for value in row.values())


def test_eg3d_passes_over_classes(tmp_path):
    recipe = tiny_recipe("eg3d")
    labelled = open_pictures(write_pictures(tmp_path / "pictures", count=2, side=128), recipe.data)
    assert labelled.num_classes == 0
    assert build_generator(recipe, labelled.labels.class_names).class_names == ()


@pytest.mark.slow
def test_three_dgp_learns_from_depth_features_and_cameras(pictures):
    trainer = trainer_of("3dgp", pictures, "losses.distillation_weight=1.0", "data.features=encoder")
    trainer.images = 8000
    figures = trainer.step().means()
    assert {"loss/distillation", "cameras/emd", "cameras/force_mean", "loss/r1"} <= set(figures)
    assert trainer.discriminator.b8.conv0.weight.grad is not None


def test_views_of_one_are_the_ordinary_game(pictures):
    """One view: the mean over views and packing are the same network input, so the losses agree."""
    losses = []
    recipe = tiny_recipe("geometry-aware", "discriminator.views=1", "optimisation.batch=4")
    for mode in ("mean", "pack"):
        judge = replace(recipe.discriminator, view_mode=mode)
        trainer = Trainer(replace(recipe, discriminator=judge), open_pictures(pictures, recipe.data))
        losses.append(trainer.step().means()["loss/D"])
    assert losses[0] == losses[1]


def test_tuples_are_judged_in_the_channels(pictures):
    trainer = trainer_of(
        "geometry-aware", pictures, "discriminator.views=3", "discriminator.view_mode=pack", "optimisation.batch=4"
    )
    ((_, real),) = trainer._real_rounds()
    assert real.images.shape[:2] == (4, 9)
    assert len({tuple(part.flatten().tolist()) for part in real.images[0].chunk(3)}) == 3
    assert all(value == value for value in trainer.step().means().values())


@pytest.mark.slow
@pytest.mark.parametrize(("reused", "expected"), [("true", 2), ("false", 3)])
def test_planes_are_computed_once_for_all_views(reused, expected, pictures):
    reuse = f"losses.reuse_fakes={reused}"
    trainer = trainer_of("geometry-aware", pictures, "discriminator.views=3", "optimisation.batch=4", reuse)
    calls = []
    trainer.generator.backbone.synthesis.register_forward_hook(lambda *_: calls.append(1))
    trainer.step()
    assert len(calls) == expected  # Gmain, Greg, and Dmain where it does not judge what Gmain has made


@pytest.mark.slow
def test_a_run_goes_on_with_the_pictures_it_was_begun_with(pictures, tmp_path):
    write_state(trainer_of("epigraf", pictures), tmp_path, {})
    copied = write_pictures(tmp_path / "copied")
    assert read_state(trainer_of("epigraf", copied), tmp_path) == {}  # elsewhere, but the same ones
    fewer = write_pictures(tmp_path / "fewer", count=8)
    larger = write_pictures(tmp_path / "larger", side=32)
    table = json.loads((copied / "dataset.json").read_text())
    table["labels"][0][1] = 1
    (copied / "dataset.json").write_text(json.dumps(table))
    for other, message in ((fewer, "pictures: 8, not 12"), (larger, "pixels: 32, not 16"), (copied, "other ones")):
        with pytest.raises(InputError, match=rf"the run was begun with \(.*{message}\); .* start="):
            read_state(trainer_of("epigraf", other), tmp_path)
    table["class_names"] = ["cat", "dog"]
    (copied / "dataset.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match="classes: cat, dog, not kind 0, kind 1"):
        read_state(trainer_of("epigraf", copied), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["03.png", "03_depth.png"])
def test_a_run_does_not_go_on_with_a_picture_that_changed_under_its_name(name, tmp_path):
    folder = write_pictures(tmp_path / "pictures")
    write_state(trainer_of("3dgp", folder), tmp_path, {})
    with Image.open(folder / name) as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_180)
    turned.save(folder / name)
    with pytest.raises(InputError, match=r"begun with \(what is in their files: other ones\)"):
        read_state(trainer_of("3dgp", folder), tmp_path)


@pytest.mark.slow
def test_a_run_does_not_go_on_with_features_that_changed_under_their_name(pictures, tmp_path):
    file = tmp_path / "features.npy"
    told = ("losses.distillation_weight=1.0", f"data.features={file}")
    np.save(file, np.arange(24.0).reshape(12, 2))
    write_state(trainer_of("3dgp", pictures, *told), tmp_path, {})
    assert read_state(trainer_of("3dgp", pictures, *told), tmp_path) == {}
    np.save(file, np.arange(24.0)[::-1].reshape(12, 2))
    with pytest.raises(InputError, match=r"begun with \(features: other ones\)"):
        read_state(trainer_of("3dgp", pictures, *told), tmp_path)


def options(*more, **others):
    return TrainOptions(
        recipe="epigraf", small=True, resolution=16, changes=changes("epigraf", *more), device="cpu", **others
    )


@pytest.mark.slow
def test_a_run_leaves_a_model_that_loads_and_a_page(pictures, tmp_path):
    folder = tmp_path / "run"
    made = train(pictures, folder, options("run.kimg=0.08", "run.sheet_kimg=0.04"))
    assert made.next_command == f"gen3d video {folder / LATEST} --path wiggle"  # trusted from the front alone
    generator = load_generator(folder / LATEST, device="cpu")
    assert generator.class_names == ("kind 0", "kind 1")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"https?://", page)
    assert "{{" not in page
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.016, 0.032, 0.048, 0.064, 0.08]
    assert {"loss/G", "loss/D", "scores/real", "pictures_per_second", "shares"} <= set(lines[-1])


@pytest.mark.slow
def test_a_budget_of_processor_minutes_ends_a_run(pictures, tmp_path):
    folder = tmp_path / "run"
    train(pictures, folder, options("run.processor_minutes=0.005"))
    stopped = load_generator(folder / LATEST, device="cpu").settings.provenance["thousand_pictures"]
    assert 0 < stopped < 0.5
    train(pictures, folder, options("run.processor_minutes=0.005", resume=True))  # all of it is used up
    assert load_generator(folder / LATEST, device="cpu").settings.provenance["thousand_pictures"] == stopped


@pytest.mark.slow
def test_a_run_goes_on_through_the_command_workflow(pictures, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(pictures, whole, options("run.kimg=0.08"))
    train(pictures, parts, options("run.kimg=0.04"))
    ended = json.loads((parts / "log.jsonl").read_text().splitlines()[-1])  # between two ticks
    assert (ended["kimg"], ended[PARTIAL]) == (0.04, True)
    assert ended["loss/D"] > 0
    train(pictures, parts, TrainOptions(changes=("run.kimg=0.08",), resume=True, device="cpu"))  # its own recipe
    first, second = ((folder / LATEST / "model.safetensors").read_bytes() for folder in (whole, parts))
    assert first == second
    logs = [[json.loads(x)["loss/D"] for x in (f / "log.jsonl").read_text().splitlines()] for f in (whole, parts)]
    assert logs[0] == logs[1]


class Listener(Reporter):
    def __init__(self):
        self.told = []

    def say(self, message):
        self.told.append(message)


@pytest.mark.slow
def test_a_run_that_goes_on_tells_of_other_threads_and_of_its_end(pictures, tmp_path):
    def told(*more):
        listener = Listener()
        train(pictures, tmp_path / "run", TrainOptions(changes=more, resume=True, device="cpu"), reporter=listener)
        return " ".join(listener.told)

    train(pictures, tmp_path / "run", options("run.kimg=0.008"))
    assert "seen all of its 0.008 thousand pictures already; for more of them: changes=['run.kimg=0.016']" in told()
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        line = told("run.kimg=0.016")
    finally:
        torch.set_num_threads(before)
    assert f"had {before} threads and goes on with {before + 1}" in line
    assert "already" not in line


def test_the_log_forgets_what_came_after_the_snapshot(tmp_path):
    lines = [{"iteration": index, "kimg": index / 10} for index in range(5)]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / LOG_NAME).write_text(text + '{"iteration": 5, "ki')  # killed while it wrote
    log = Log(tmp_path)
    log.go_on(3)
    log.add({"iteration": 4, "kimg": float("nan")})
    found = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [line["iteration"] for line in found] == [0, 1, 2, 3, 4]
    assert found[-1]["kimg"] is None


def test_a_curve_of_one_point_is_a_dot_and_one_of_none_is_nothing():
    assert chart("loss", {"G": [(0.1, 2.0)], "D": []}).count("<circle") == 1
    assert "<circle" not in chart("loss", {"G": [(0.1, 2.0), (0.2, 1.0)]})
    assert chart("loss", {"G": []}) == ""


@pytest.mark.slow
def test_a_state_cut_short_is_refused(pictures, tmp_path):
    folder = tmp_path / "run"
    train(pictures, folder, options("run.kimg=0.016"))
    state = folder / STATE_NAME
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short"):
        train(pictures, folder, options("run.kimg=0.016", resume=True))


@pytest.mark.slow
def test_a_run_is_not_written_over(pictures, tmp_path):
    folder = tmp_path / "run"
    train(pictures, folder, options("run.kimg=0.016"))
    with pytest.raises(InputError, match="add --resume"):
        train(pictures, folder, options("run.kimg=0.016"))
    with pytest.raises(InputError, match=r"patches\.beta_end is 0\.5, the run was begun with 0\.8"):
        train(pictures, folder, options("patches.beta_end=0.5", resume=True))
    with pytest.raises(InputError, match="begun with the recipe epigraf, small; leave recipe and small out"):
        train(pictures, folder, TrainOptions(recipe="3dgp", small=True, resume=True))


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on_with_the_same_options(pictures, tmp_path):
    folder = tmp_path / "run"
    train(pictures, folder, options("run.kimg=0.016"))
    state = folder / STATE_NAME
    with safe_open(state, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    facts = {
        key: value for key, value in json.loads(metadata["facts"]).items() if key not in ("name", "small", "pictures")
    }
    state.write_bytes(save(tensors, metadata={**metadata, "facts": json.dumps(facts)}))
    with pytest.raises(InputError, match=r"another recipe than 3dgp, or by another version .* say with which: recipe"):
        train(pictures, folder, TrainOptions(resume=True, device="cpu"))
    later = TrainOptions(recipe="epigraf", changes=("run.kimg=0.032",), resume=True, device="cpu")
    train(pictures, folder, later)
    assert read_facts(folder)["name"] == "epigraf"


@pytest.mark.slow
def test_numbers_that_break_keep_the_last_snapshot_and_name_the_tensor(pictures, tmp_path, monkeypatch):
    folder, step = tmp_path / "run", Trainer.step

    def breaking(self):
        if self.iteration == 7:
            with torch.no_grad():
                self.generator.mapping.fc0.weight[0, 0] = float("nan")
        return step(self)

    monkeypatch.setattr(Trainer, "step", breaking)
    with pytest.raises(Gen3DError, match=r"tensor generator\.mapping\.fc0\.weight holds NaN"):
        train(pictures, folder, options("run.kimg=0.2"))
    monkeypatch.undo()
    assert load_generator(folder / LATEST, device="cpu")
    assert "stopped: the loss of phase Gall is no number" in (folder / "index.html").read_text(encoding="utf-8")
    train(pictures, folder, options("run.kimg=0.08", resume=True))


def test_a_stored_recipe_stays_what_it_was():
    now = load_recipe("3dgp", small=True)
    stored = json.loads(json.dumps(now.to_dict()))
    stored["cameras"]["force_mean"] = 0.5  # of an earlier version
    del stored["losses"]["reuse_fakes"]  # which that did not know
    again = stored_recipe(stored, "3dgp", small=True, changes=["run.kimg=7"])
    assert (again.cameras.force_mean, again.losses.reuse_fakes, again.run.kimg) == (0.5, False, 7)
    sources = {name: source for name, _, source in again.explain()}
    assert sources["cameras.force_mean"] == "the run"
    assert sources["optimisation.d_lr"] == now.sources["optimisation.d_lr"]
    assert stored_recipe(stored, "3dgp", small=True, changes=["cameras.force_mean=0.5"]).cameras.force_mean == 0.5
    for options, message in (
        ({"changes": ["cameras.force_mean=2"]}, "is 2, the run was begun with 0.5; leave that out"),
        ({"resolution": 32}, "data.resolution is 32, the run was begun with 64"),
        ({"changes": ["cameras.force_maen=2"]}, "did you mean cameras.force_mean"),
    ):
        with pytest.raises(InputError, match=message):
            stored_recipe(stored, "3dgp", small=True, **options)
    with pytest.raises(InputError, match="another recipe than epigraf"):
        stored_recipe(stored, "epigraf", small=True)
    stored["losses"]["gone"] = 1
    with pytest.raises(InputError, match=r"the run has losses\.gone, which this version"):
        stored_recipe(stored, "3dgp", small=True)


@pytest.mark.parametrize(
    ("told", "least"),
    [
        ({}, 0.25),
        ({"resolution": 32}, 0.5),
        ({"resolution": 128}, 0.125),
        ({"changes": ["patches.side=32"]}, 0.5),
        ({"resolution": 128, "changes": ["patches.least_scale=0.3"]}, 0.3),
        ({"changes": ["patches.distribution=full", "patches.side=64"]}, 1.0),
    ],
)
@pytest.mark.parametrize("name", ["3dgp", "epigraf"])
def test_the_finest_patches_have_the_pixels_of_the_pictures(name, told, least):
    assert load_recipe(name, small=True, **told).patches.least_scale == least


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("small", [False, True])
def test_every_value_of_a_recipe_has_a_source(name, small):
    recipe = load_recipe(name, small=small)
    for section, values in recipe.to_dict().items():
        for key in values:
            assert recipe.sources.get(f"{section}.{key}", "default")
    assert set(SMALLER) == set(recipe_names())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("patches.beta_ned=1", "did you mean patches.beta_end"),
        ("patch.side=8", "no section 'patch'"),
        ("patches.side=many", "needed is a whole number"),
        ("data.resolution=none", "needed is a whole number"),
        ("data.resolution=0", "needed is a whole number from 4 to 4096"),
        ("patches.side", "write it as section.key=value"),
        ("optimisation.round=6", "multiple"),
        ("patches.side=128", "larger than the pictures"),
        ("patches.least_scale=0.01", "shows less than there is"),
        ("discriminator.clamp=some", r'needed is a number above 0, at most 1e\+12, or "none"'),
    ],
)
def test_a_wrong_value_is_one_line(change, message):
    with pytest.raises(InputError, match=message):
        load_recipe("3dgp", small=True, changes=[change])


def test_cameras_of_a_prior_are_not_told_to_the_discriminator():
    assert load_recipe("eg3d").discriminator.camera_conditioned
    recipe = load_recipe("eg3d", changes=["cameras.source=prior"])
    assert not recipe.discriminator.camera_conditioned
    assert "real pictures have none" in recipe.sources["discriminator.camera_conditioned"]
    with pytest.raises(InputError, match="needs cameras of the real pictures"):
        load_recipe("eg3d", changes=["cameras.source=prior", "discriminator.camera_conditioned=true"])


def test_published_values_are_those_of_the_papers():
    recipe = load_recipe("epigraf")
    assert (recipe.patches.side, recipe.patches.beta_end, recipe.patches.anneal_kimg) == (64, 0.8, 10_000)
    assert (recipe.optimisation.batch, recipe.losses.r1_every, recipe.optimisation.ema_kimg) == (64, 16, 20)
    assert load_recipe("eg3d").losses.density_weight == 0.25
    assert load_recipe("3dgp").cameras.force_mean == 10
