"""The whole inversion on a tiny generator: resumable, honest, and free of special cases."""

import copy

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.settings import config_for
from gen3d_tools.inversion import pti
from gen3d_tools.inversion.presets import PRESETS, preset
from gen3d_tools.inversion.progress import StepReport
from gen3d_tools.inversion.pti import Inversion, invert
from gen3d_tools.inversion.results.score import advice_for, input_scores, score, warnings_for
from gen3d_tools.inversion.settings import SHORT_NAMES, InversionSettings
from gen3d_tools.inversion.stages.mirror import MirroredSilhouettes
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.wording import options_are_typed

QUICK = InversionSettings().changed(
    resolution=12,
    rays1=144,
    rays2=144,
    w_samples=50,
    steps1=3,
    steps2=3,
    far_stretch=1.0,
    search_starts=2,
    search_keep=1,
    search_steps=1,
    search_keep_steps=1,
    search_resolution=8,
    locality_points=128,
    checkpoint_seconds=0.0,
)


@torch.no_grad()
def _photo(generator, seed=5, label=1, camera=None, side=16):
    field = generator.fields(generator.latents([seed], [label]))[0]
    camera = generator.default_camera() if camera is None else camera
    seen = render_differentiable(field, camera, pixel_coordinates(side))
    return Photo(seen.rgb.clamp(0, 1), seen.opacity.clamp(0, 1), source="test")


def _worked(generator, photos, state=None, **options):
    """Run an inversion without scoring it."""
    work = Inversion(generator, photos, **{"settings": QUICK, **options})
    if state is not None:
        work.load_state(state)
    work.run()
    return work


def _same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(_same(*pair) for pair in zip(first, second, strict=True))
    return first == second


@pytest.mark.slow
def test_a_known_camera_and_class_are_kept(tiny_generator):
    camera = tiny_generator.default_camera()
    photo = _photo(tiny_generator)
    result = invert(tiny_generator, photo, camera=camera, class_name="cube", settings=QUICK)
    assert torch.equal(result.camera.cam2world, camera.cam2world)
    assert (result.class_index, result.class_name) == (1, "cube")
    assert result.ws.shape == (1, tiny_generator.num_ws, 16)
    assert result.base is tiny_generator
    assert set(result.history) == {"stage_one", "stage_two"}
    assert [len(result.history[name]) for name in ("stage_one", "stage_two")] == [3, 3]


def test_a_known_camera_may_stand_where_the_models_near_and_far_do_not_reach(tiny_generator):
    ws = tiny_generator.latents([5], [1])
    camera = Camera.from_spherical([40.0], 20.0, 4.5, fov_y_deg=12.0)
    config = config_for(camera, tiny_generator.settings)
    seen = render_differentiable(
        tiny_generator.fields(ws)[0], camera[0], pixel_coordinates(24), config=config, threshold=0.0
    )
    assert seen.opacity.mean() > 0.1
    photo = Photo(seen.rgb.clamp(0, 1), seen.opacity.clamp(0, 1))
    work = Inversion(tiny_generator, [photo], camera=camera, class_name=1, settings=QUICK)
    work.find_start()
    scores = input_scores(tiny_generator.fields(ws)[0], camera, work.targets, None, config)
    assert scores["psnr"] > 25
    loss, _ = work._objective(ws, 144)(tiny_generator.fields(ws)[0], camera, None)
    assert float(loss) < 0.1


@pytest.mark.slow
def test_resuming_from_any_state_gives_the_uninterrupted_result(tiny_generator):
    states = []
    photo = _photo(tiny_generator)
    whole = _worked(tiny_generator, [photo], checkpoint=lambda state: states.append(copy.deepcopy(state)))
    one = next(state for state in states if state["stage_one"] and state["stage_one"]["done"] == 2)
    two = next(state for state in states if state["stage_two"] and state["stage_two"]["done"] == 2)
    for state in (states[0], one, two, states[-1]):
        assert _same(_worked(tiny_generator, [photo], state).state(), whole.state())


@pytest.mark.slow
def test_taking_up_a_state_keeps_none_that_is_further_back(tiny_generator):
    photo, camera, kept = _photo(tiny_generator), tiny_generator.default_camera(), []
    settings = QUICK.changed(steps1=1, steps2=2)
    begun = Inversion(tiny_generator, [photo], camera=camera, settings=settings)
    begun.first_stage().step()
    begun.second_stage().step()
    again = Inversion(tiny_generator, [photo], camera=camera, settings=settings, checkpoint=kept.append)
    again.load_state(begun.state())
    assert kept == []
    again.run()
    assert [state["stage_two"]["done"] for state in kept] == [2, 2]


@pytest.mark.slow
def test_looking_on_changes_nothing(tiny_generator):
    photo, seen = _photo(tiny_generator), []
    alone = _worked(tiny_generator, [photo])
    watched = Inversion(tiny_generator, [photo], settings=QUICK)
    watched.progress = lambda step: step.stage == "search" or seen.append(watched.preview(16))
    watched.run()
    assert _same(alone.state(), watched.state())
    assert len(seen) == 6
    assert not torch.equal(seen[0], seen[-1])
    assert all(picture.shape == (3, 16, 16) for picture in seen)


@pytest.mark.slow
def test_a_state_holds_only_what_a_safe_file_can(tiny_generator, tmp_path):
    state = _worked(tiny_generator, [_photo(tiny_generator)], camera=tiny_generator.default_camera()).state()
    torch.save(state, tmp_path / "state.pt")
    assert _same(torch.load(tmp_path / "state.pt", weights_only=True), state)


def test_a_state_of_another_photo_or_of_other_settings_is_refused(tiny_generator):
    camera = tiny_generator.default_camera()
    work = Inversion(tiny_generator, [_photo(tiny_generator)], camera=camera, settings=QUICK)
    work.find_start()
    for photo, settings, word in (
        (_photo(tiny_generator, 6), QUICK, "photos"),
        (_photo(tiny_generator), QUICK.changed(seed=1), "settings"),
    ):
        other = Inversion(tiny_generator, [photo], camera=camera, settings=settings)
        with pytest.raises(InputError, match=word):
            other.load_state(work.state())


@pytest.mark.slow
def test_an_interrupted_inversion_gives_what_there_is(tiny_generator):
    def interrupt(report):
        if report.stage == "stage_two":
            raise KeyboardInterrupt

    camera = tiny_generator.default_camera()
    work = Inversion(tiny_generator, [_photo(tiny_generator)], camera=camera, settings=QUICK, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        work.run()
    result = work.result()
    assert len(result.history["stage_two"]) == 1
    assert result.metrics["fit"] in ("good", "fair", "poor")


@pytest.mark.slow
def test_progress_only_grows_and_ends_at_one(tiny_generator):
    reports: list[StepReport] = []
    _worked(tiny_generator, [_photo(tiny_generator)], progress=reports.append)
    shares = [report.share for report in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert {report.stage for report in reports} == {"search", "stage_one", "stage_two"}


@pytest.mark.slow
def test_without_an_encoder_the_search_tries_classes_and_cameras(tiny_generator):
    camera = tiny_generator.sample_cameras(24, range(24))[7]
    photo = _photo(tiny_generator, camera=camera, side=24)
    mean = tiny_generator.latents([5], [1], truncation_psi=1.0)
    settings = QUICK.changed(resolution=24, search_resolution=16, search_starts=3)
    start = Inversion(tiny_generator, [photo], settings=settings).find_start()
    assert start.class_index in (0, 1)
    assert start.w.shape == mean[0, :1].shape
    assert start.loss < float("inf")


@pytest.mark.slow
def test_further_views_share_the_latent_and_have_cameras_of_their_own(tiny_generator):
    cameras = stack_cameras([Camera.from_spherical(yaw, 10.0, 2.7, fov_y_deg=20.0) for yaw in (0.0, 90.0)])
    photos = [_photo(tiny_generator, camera=camera) for camera in cameras]
    work = _worked(tiny_generator, photos, camera=cameras, class_name=1)
    assert torch.equal(work.first_stage().cameras().cam2world, cameras.cam2world)
    found = _worked(tiny_generator, photos, class_name=1).first_stage().cameras()
    assert len(found) == 2
    assert (found.cam2world[0] != found.cam2world[1]).any()
    with pytest.raises(InputError, match="got 1 cameras for 2 photos"):
        Inversion(tiny_generator, photos, camera=cameras[0], settings=QUICK)


@pytest.mark.slow
def test_photos_of_one_object_may_differ_in_size(tiny_generator):
    cameras = stack_cameras([Camera.from_spherical(yaw, 10.0, 2.7, fov_y_deg=20.0) for yaw in (0.0, 90.0)])
    photos = [_photo(tiny_generator, camera=cameras[0], side=12), _photo(tiny_generator, camera=cameras[1], side=20)]
    result = _worked(tiny_generator, photos, camera=cameras, class_name=1).result()
    assert result.metrics["stage_two"]["psnr"] > 0


def test_a_generator_that_is_being_trained_is_not_touched(tiny_generator):
    training = copy.deepcopy(tiny_generator).requires_grad_(True)
    work = _worked(training, [_photo(tiny_generator)], camera=training.default_camera(), class_name=0)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in training.parameters())
    assert work.base is training


def test_unknown_classes_and_presets_are_refused(tiny_generator):
    with pytest.raises(InputError, match="unknown class"):
        invert(tiny_generator, _photo(tiny_generator), class_name="teapot", settings=QUICK)
    with pytest.raises(InputError, match="no preset 'swift'; choose from fast, balanced, best"):
        invert(tiny_generator, _photo(tiny_generator), settings="swift")


@pytest.mark.parametrize(("psnr", "fit"), [(30.0, "good"), (23.0, "good"), (21.0, "fair"), (12.0, "poor")])
def test_the_score_is_that_of_the_untouched_model(tiny_generator, psnr, fit):
    from gen3d_tools.inversion.stages.latent_prior import latent_prior

    prior = latent_prior(tiny_generator, 0, 50)
    ws = prior.mean.expand(1, tiny_generator.num_ws, -1)
    first, second = {"psnr": psnr}, {"psnr": 40.0}
    metrics = score(_photo(tiny_generator), prior, ws, 0, first, second, None, None)
    assert metrics["fit"] == fit
    assert bool(warnings_for(metrics)) == (fit != "good")
    assert ("nothing this model knows" in " ".join(warnings_for(metrics))) == (fit == "poor")


@pytest.mark.parametrize(
    ("fit", "classes", "name", "wanted", "unwanted"),
    [
        ("good", ("ball", "cube"), "balanced", (), ("help",)),
        ("poor", ("ball", "cube"), "balanced", ("--class cube", "if it is no ball", "--mask", "--preset best"), ()),
        ("fair", ("ball",), "fast", ("--mask", "--preset best"), ("--class",)),
        ("poor", (), "best", ("--mask", "another model"), ("--class", "--preset")),
    ],
)
def test_what_fits_badly_comes_with_what_to_try_next(tiny_generator, fit, classes, name, wanted, unwanted):
    with options_are_typed():
        lines = " ".join(advice_for({"fit": fit}, _photo(tiny_generator), 0, classes, preset(name), None))
    assert all(words in lines for words in wanted)
    assert not any(words in lines for words in unwanted)
    assert bool(lines) == bool(wanted)


def test_settings_come_back_and_refuse_what_is_wrong():
    for settings in PRESETS.values():
        assert InversionSettings.from_dict(settings.to_dict()) == settings
    assert preset("fast").steps < preset("balanced").steps < preset("best").steps
    assert preset("balanced").with_steps(10).steps == 10
    usual, few, many = (preset("balanced").with_steps(steps).search for steps in (46, 4, 230))
    assert (usual.steps, usual.keep_steps) == (many.steps, many.keep_steps) == (12, 24)
    assert (few.steps, few.keep_steps) == (2, 3)
    with pytest.raises(CheckpointError, match="stride unknown"):
        InversionSettings.from_dict({**preset("fast").to_dict(), "stride": 1})
    for wrong in ({"lr1": -1.0}, {"resolution": 0}, {"beta2": 1.0}, {"beta1": -0.1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            InversionSettings().changed(**wrong)
    with pytest.raises(InputError, match="no setting stride"):
        InversionSettings().changed(stride=1)
    with pytest.raises(InputError, match="at least 2 steps"):
        preset("fast").with_steps(1)


def test_the_farther_the_pivot_is_from_the_photo_the_further_tuning_goes():
    usual = preset("balanced")
    near, half, far = (usual.for_pivot(psnr) for psnr in (30.0, 21.5, 12.0))
    assert near == usual
    assert (far.stage_two.steps, far.stage_two.lr) == (144, 6e-3)
    assert (far.stage_two.locality.weight, far.stage_two.mirror_weight) == (0.5, usual.stage_two.far.mirror_weight)
    assert half.stage_two.steps == 81
    assert usual.stage_two.lr < half.stage_two.lr < far.stage_two.lr
    assert usual.changed(near_psnr=0.0).for_pivot(12.0).stage_two.steps == 18
    assert preset("best").for_pivot(12.0).stage_two.steps == preset("best").stage_two.steps
    asked = usual.with_steps(22)
    assert asked.for_pivot(12.0).steps == asked.steps


@pytest.mark.slow
@pytest.mark.parametrize(("near_psnr", "implied"), [(90.0, True), (0.0, False)])
def test_a_photo_far_from_the_generator_is_asked_what_it_implies_for_other_sides(
    tiny_generator, monkeypatch, near_psnr, implied
):
    front = Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=20.0)

    def say(typical, objective, cameras, move):
        said = MirroredSilhouettes(objective, cameras, 0)
        said.cameras = stack_cameras([front])
        return said

    monkeypatch.setattr(pti, "implied_silhouettes", say)
    settings = QUICK.changed(steps1=1, steps2=1, near_psnr=near_psnr, far_psnr=near_psnr)
    work = Inversion(tiny_generator, [_photo(tiny_generator)], settings=settings)
    assert isinstance(work.second_stage().implied, MirroredSilhouettes) == implied
    moved = torch.allclose(work.result().camera.cam2world, front.cam2world)  # as what is implied wants it
    assert moved == implied


@pytest.mark.slow
def test_a_photo_far_from_the_generator_is_tuned_to_with_more_and_larger_steps(tiny_generator):
    settings = QUICK.changed(steps1=1, steps2=2, far_stretch=2.5, near_psnr=90.0, far_psnr=90.0, stop2_psnr=0.0)
    reports = []
    result = invert(tiny_generator, _photo(tiny_generator), settings=settings, progress=reports.append)
    tuning = [one for one in reports if one.stage == "stage_two"]
    assert [(one.done, one.steps) for one in tuning] == [(count, 5) for count in range(1, 6)]
    assert len(result.history["stage_two"]) == 5
    assert result.settings == settings


# What there was before it could be set.
BEFORE = {"search_nearby": 0, "search_margin": 1e9, "beta1": 0.9, "beta2": 0.999, "far_stretch": 2.0, "far_lr": 3e-3}
BEFORE |= {"mirror": 0.0, "far_mirror": 0.0}


def _flat(table):
    """The settings as version 0.1 wrote them."""

    def value(path):
        found = table
        for name in path:
            found = found[name]
        return found

    later = ("conditioning", "tune", "near_psnr", "growth", "recolor", *BEFORE)  # what there was not yet
    return {
        name: value(path) for name, path in SHORT_NAMES.items() if not name.startswith("far_") and name not in later
    }


def test_the_flat_settings_of_earlier_results_are_read():
    """Version 0.1 wrote one table; a result's report and an unfinished inversion's state hold it."""
    table = preset("fast").changed(locality_weight=1.5, stop1=0.25, softness=0.5).changed(**BEFORE).to_dict()

    flat = _flat(table)
    assert len(flat) == 55
    settings = InversionSettings.from_dict(flat)
    assert settings.to_dict() == table
    assert (settings.stage_two.locality.weight, settings.stage_one.stop_distance) == (1.5, 0.25)
    with pytest.raises(CheckpointError, match="lr2 unknown or missing"):
        InversionSettings.from_dict({name: one for name, one in flat.items() if name != "lr2"})


@pytest.mark.parametrize(("rate", "moved"), [(0.0, False), (0.01, True)])
def test_a_camera_without_a_rate_is_kept_by_every_stage(tiny_generator, rate, moved):
    photo, settings = _photo(tiny_generator), QUICK.changed(camera_lr=rate)
    assert Inversion(tiny_generator, [photo], settings=settings).moves_cameras is moved
    known = Inversion(tiny_generator, [photo], camera=tiny_generator.default_camera(), settings=settings)
    assert not known.moves_cameras
