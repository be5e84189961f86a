"""Both stages on a tiny generator: what was hidden is found, what was asked to stay stays."""

import copy

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import Gen3DError
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.camera_fit import angle_between_deg
from gen3d_tools.inversion.stages.latent_prior import latent_prior
from gen3d_tools.inversion.stages.locality_regulariser import FieldLocality, nearby_latent
from gen3d_tools.inversion.stages.noise import release_noise
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.metrics.pictures import psnr
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.rays import pixel_coordinates

SIDE = 12
SETTINGS = InversionSettings().changed(
    resolution=SIDE,
    rays1=SIDE**2,
    rays2=SIDE**2,
    w_samples=100,
    optimise_noise=False,
    prior_weight=0.0,
    pixel_weight=0.25,
    softness=0.0,
    locality_points=512,
    stop2_psnr=0.0,
)


def _with(**changes):
    return SETTINGS.changed(**changes)


def _camera(yaw=35.0):
    return stack_cameras([Camera.from_spherical(yaw, 22.0, 2.7, fov_y_deg=20.0)])


@torch.no_grad()
def _picture(generator, ws, cameras, index=0):
    seen = render_differentiable(generator.fields(ws)[0], cameras[index], pixel_coordinates(SIDE), threshold=0.0)
    return Target(seen.rgb.clamp(0, 1), seen.opacity)


def _objective(target, settings, targets=None):
    return Objective(targets or [target], settings, None, settings.stage_one.rays, 1.0)


def _run(stage):
    while not stage.finished:
        stage.step()
    return stage


def _first(generator, hidden, settings, *, start_yaw=None, cameras=None):
    cameras = cameras or _camera()
    targets = [_picture(generator, hidden, cameras, index) for index in range(len(cameras))]
    prior = latent_prior(generator, 0, settings.stage_one.w_samples)
    begin = cameras if start_yaw is None else _camera(start_yaw)
    return StageOne(
        generator,
        prior,
        prior.mean[None],
        begin,
        Objective(targets, settings, None, settings.stage_one.rays, 1.0),
        settings,
        move_camera=start_yaw is not None,
    )


@pytest.mark.slow
@pytest.mark.parametrize("change", [{}, {"space": "w+"}, {"basis": "w", "lr1": 0.2}])
def test_stage_one_finds_a_hidden_latent(tiny_generator, change):
    hidden = tiny_generator.latents([7], [0])
    stage = _run(_first(tiny_generator, hidden, _with(**{"steps1": 40, "lr1": 0.15, **change})))
    assert stage.losses[-1] < 0.3 * stage.losses[0]
    assert stage.ws().shape == hidden.shape
    rows = stage.ws()[0]
    assert (rows != rows[0]).any() == (change.get("space") == "w+")


@pytest.mark.slow
def test_stage_one_moves_the_camera_to_where_the_photo_was_taken(tiny_generator):
    hidden = latent_prior(tiny_generator, 0, 100).mean.expand(1, tiny_generator.num_ws, -1)
    stage = _first(
        tiny_generator, hidden, _with(steps1=25, camera_lr=0.15, camera_only=1.0, camera_prior=0.0), start_yaw=25.0
    )
    before = float(angle_between_deg(stage.cameras(), _camera())[0])
    _run(stage)
    assert before > 8
    assert float(angle_between_deg(stage.cameras(), _camera())[0]) < 0.4 * before
    torch.testing.assert_close(stage.ws(), hidden, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_two_photos_share_a_latent(tiny_generator):
    cameras = stack_cameras([_camera(20.0)[0], _camera(160.0)[0]])
    hidden = tiny_generator.latents([7], [0])
    stage = _run(_first(tiny_generator, hidden, _with(steps1=25, lr1=0.15), cameras=cameras))
    assert stage.losses[-1] < 0.5 * stage.losses[0]
    assert len(stage.cameras()) == 2


def test_noise_maps_help_and_are_discarded(tiny_generator):
    before = copy.deepcopy(tiny_generator.state_dict())
    stage = _first(tiny_generator, tiny_generator.latents([7], [0]), _with(steps1=3, optimise_noise=True))
    fresh = [one.detach().clone() for one in stage.noise]
    _run(stage)
    assert stage.noise
    assert all((one != old).any() for one, old in zip(stage.noise, fresh, strict=True))
    for one in stage.noise:
        assert float(one.detach().square().mean()) == pytest.approx(1, abs=1e-4)
    for name, value in tiny_generator.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_every_noise_map_that_the_planes_read_is_released(tiny_generator):
    copied = copy.deepcopy(tiny_generator)
    names = [name for name, _ in copied.named_buffers() if name.endswith("noise_const")]
    assert len(release_noise(copied, torch.Generator().manual_seed(0))) == len(names) > 0


def test_stage_one_stops_early(tiny_generator):
    stage = _run(_first(tiny_generator, tiny_generator.latents([7], [0]), _with(steps1=50, stop1=10.0)))
    assert stage.done == 1


def _second(generator, settings, apart=0.3):
    """Tune towards an object some way off: 1 is another one altogether."""
    cameras = _camera()
    wanted, other = generator.latents([8], [0]), generator.latents([9], [0])
    target = _picture(generator, wanted, cameras)
    ws = wanted.lerp(other, apart)
    return StageTwo(generator, ws, cameras, _objective(target, settings), settings, 0)


def test_rays_of_stage_one_pass_the_middles_of_pixels_and_those_of_stage_two_around_them(tiny_generator, monkeypatch):
    seen = []
    look = Objective.look

    def noted(self, field, camera, pixels, generator):
        seen.append(pixels)
        return look(self, field, camera, pixels, generator)

    monkeypatch.setattr(Objective, "look", noted)
    _first(tiny_generator, tiny_generator.latents([7], [0]), SETTINGS).step()
    _second(tiny_generator, _with(locality_weight=0.0)).step()
    first, second = ((pixels - pixel_coordinates(SIDE)) * SIDE for pixels in seen)
    assert first.abs().max() < 1e-5
    assert 0.2 < second.abs().max() <= 0.25 + 1e-5


@pytest.mark.slow
def test_stage_two_makes_the_picture_the_photo(tiny_generator):
    stage = _second(tiny_generator, _with(steps2=60, lr2=3e-3, locality_weight=0.0))
    wanted = stage.objective.targets[0].rgb
    before = psnr(_picture(tiny_generator, stage.ws, stage.cameras).rgb, wanted)
    _run(stage)
    after = psnr(_picture(stage.tuned(), stage.ws, stage.cameras).rgb, wanted)
    assert after > max(before + 8, 27)


def test_stage_two_leaves_the_original_and_the_pivot_alone(tiny_generator):
    before = copy.deepcopy(tiny_generator.state_dict())
    stage = _second(tiny_generator, _with(steps2=3))
    ws = stage.ws.clone()
    _run(stage)
    assert torch.equal(stage.ws, ws)
    for name, value in tiny_generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(parameter.requires_grad for parameter in stage.tuned().parameters())
    changed = stage.tuned().state_dict()
    assert any((changed[name] != before[name]).any() for name in before)


def test_the_tuned_weights_are_the_average_of_every_step_weighed_by_its_number(tiny_generator):
    stage = _second(tiny_generator, _with(steps2=4, average2=1.0))
    expected = {name: torch.zeros_like(value) for name, value in tiny_generator.named_parameters()}
    while not stage.finished:
        stage.step()
        for name, value in stage.generator.named_parameters():
            expected[name] += 2 * stage.done / (4 * 5) * value.detach()  # t / (1 + 2 + 3 + 4)
    for name, value in stage.tuned().named_parameters():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-5)


def test_without_averages_the_last_weights_are_the_result(tiny_generator):
    stage = _run(_second(tiny_generator, _with(steps2=3, average2=0.0)))
    for tuned, last in zip(stage.tuned().parameters(), stage.generator.parameters(), strict=True):
        torch.testing.assert_close(tuned, last.detach())


def _moved(stage, before, latents, cameras):
    """Mean squared change of pictures by the tuning."""
    changes = [
        _picture(stage.generator, ws[None], cameras).rgb - _picture(before, ws[None], cameras).rgb for ws in latents
    ]
    return float(torch.stack(changes).square().mean())


@pytest.mark.slow
def test_published_locality_holds_other_latents_in_place(tiny_generator):
    """They are latents at the published distance from the pivot; tuning hardly moves those farther away."""
    settings = _with(steps2=15, lr2=2e-3, locality_weight=0.0, locality_alpha=3.0)
    free = _run(_second(tiny_generator, settings))
    held = _run(_second(tiny_generator, settings.changed(locality_images=100.0)))
    random = torch.Generator().manual_seed(99)  # others than those of the tuning
    others = torch.cat([nearby_latent(tiny_generator, free.ws, 0, settings, random) for _ in range(6)])
    cameras = free.cameras
    assert _moved(held, tiny_generator, others, cameras) < 0.8 * _moved(free, tiny_generator, others, cameras)


@pytest.mark.slow
def test_field_locality_holds_the_side_that_the_photo_does_not_show(tiny_generator):
    """Over three seeds: a single run of 20 large steps gives shares between 0.4 and 0.8, whatever rounding decides."""
    away, shares = _camera(215.0), []
    for seed in range(3):
        settings = _with(steps2=20, lr2=2e-3, locality_weight=0.0, locality_points=2048, seed=seed)
        free = _run(_second(tiny_generator, settings))
        held = _run(_second(tiny_generator, settings.changed(locality_weight=1.0)))
        moved = (_moved(one, tiny_generator, free.ws, away) for one in (held, free))
        shares.append(next(moved) / next(moved))
    assert sum(shares) / 3 < 0.75


def test_field_locality_is_zero_for_an_unchanged_field_and_sees_its_far_side(tiny_generator):
    ws = tiny_generator.latents([8], [0])
    with torch.no_grad():
        before, other = tiny_generator.fields(ws)[0], tiny_generator.fields(tiny_generator.latents([9], [0]))[0]
        locality = FieldLocality(before, 1.0, 512)
        random = torch.Generator().manual_seed(0)
        assert float(locality(before, random)) == 0
        assert float(locality(other, random)) > 0.05


def test_half_of_the_points_of_field_locality_lie_near_the_surface(tiny_generator):
    field = tiny_generator.fields(tiny_generator.latents([8], [0]))[0]
    locality, random = FieldLocality(field, 1.0, 512), torch.Generator().manual_seed(0)
    first, second = locality._draw(random), locality._draw(random)
    with torch.no_grad():
        depths = (field.raw_density(first) + field.density_shift).abs()
    anywhere, near = ((part < 4).float().mean() for part in depths.split(256))  # within the reach of width 1
    assert near > 2 * anywhere > 0
    assert not torch.equal(first, second)


def test_nearby_latents_lie_at_the_distance_asked_for(tiny_generator):
    ws = tiny_generator.latents([8], [0])
    near = nearby_latent(tiny_generator, ws, 0, _with(locality_alpha=2.5), torch.Generator().manual_seed(0))
    assert float((near - ws).norm()) == pytest.approx(2.5, rel=1e-4)


def test_stage_two_stops_before_the_update_once_it_is_good_enough(tiny_generator):
    settings = _with(steps2=30, stop2_psnr=20.0)
    stage = _run(_second(tiny_generator, settings, apart=0.0))
    assert stage.stopped
    assert stage.done < 30


def test_a_perceptual_distance_takes_part_and_can_stop(tiny_generator):
    class Far:
        name = "far"

        def __call__(self, a, b):
            return (a - b).abs().mean((1, 2, 3))

    settings = _with(steps2=5, stop2_perceptual=0.9)
    cameras = _camera()
    ws = tiny_generator.latents([8], [0])
    objective = Objective([_picture(tiny_generator, ws, cameras)], settings, Far(), settings.stage_two.rays, 1.0)
    stage = _run(StageTwo(tiny_generator, ws, cameras, objective, settings, 0))
    assert stage.stopped
    assert stage.done == 0


def test_before_the_first_step_nothing_has_moved_to_the_byte(tiny_generator):
    """Else the locality pulls at what rounding made, in directions of chance."""
    ws = tiny_generator.latents([3], ["cube"])
    run = StageTwo(
        tiny_generator, ws, _camera(), _objective(_picture(tiny_generator, ws, _camera()), SETTINGS), SETTINGS, 0
    )
    field = run.generator.fields(run.ws)[0]
    assert float(run.locality(field, torch.Generator().manual_seed(0)).detach()) == 0.0


@pytest.mark.parametrize("stage", ["one", "two"])
def test_gradients_that_are_not_finite_name_the_tensor_and_move_nothing(tiny_generator, monkeypatch, stage):
    ws = tiny_generator.latents([3], ["cube"])
    target = _picture(tiny_generator, ws, _camera())
    objective = _objective(target, SETTINGS)
    prior = latent_prior(tiny_generator, 0, SETTINGS.stage_one.w_samples)
    if stage == "one":
        run = StageOne(tiny_generator, prior, prior.mean[None], _camera(), objective, SETTINGS, move_camera=True)
        name = "the latent"
    else:
        run = StageTwo(tiny_generator, ws, _camera(), objective, SETTINGS, 0)
        name, parameter = next((n, p) for n, p in run.generator.named_parameters() if n.startswith("decoder"))
    run.step()
    leaf = run.coordinates if stage == "one" else parameter
    leaf.register_hook(lambda gradient: gradient * float("nan"))
    before = run.state()
    with pytest.raises(Gen3DError, match=f"stage {stage}, step 2.*{name} are not finite"):
        run.step()
    after = run.state()
    assert (after["done"], after["losses"]) == (before["done"], before["losses"])
    moved = ("coordinates", "offsets") if stage == "one" else ("averages",)
    for key in moved:
        ends = (after[key], before[key])
        pairs = [ends] if isinstance(ends[0], torch.Tensor) else zip(*ends, strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
