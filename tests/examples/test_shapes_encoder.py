import json
import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.perception.prediction import Prediction


@pytest.fixture(scope="module")
def recipe(shapes_on_path):
    """The recipe's modules by name."""
    import encoder
    import encoder_data
    import strangers

    return {"encoder": encoder, "data": encoder_data, "strangers": strangers}


@pytest.fixture(scope="module")
def encoder(recipe):
    return recipe["encoder"]


@pytest.fixture(scope="module")
def data(recipe):
    return recipe["data"]


@pytest.fixture(scope="module")
def strangers(recipe):
    return recipe["strangers"]


@pytest.fixture(scope="module")
def toys(data):
    """Two toys of two classes each, as the generator shows them."""
    generator = torch.Generator().manual_seed(0)
    drawn = [(label, torch.randn(2, 10, generator=generator)) for label in (0, 5)]
    return data.Pictures.concatenate(
        [data.trace(label, z, *data.draw_cameras(2, generator), label=label) for label, z in drawn]
    )


@pytest.fixture(scope="module")
def scenes(data):
    """Two things of one class and two strangers, as layers."""
    generator = torch.Generator().manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "OWN_SHARE", 0.0)  # the generator's own always look alike
        return data.Scenes.concatenate([data.draw_things(0, 2, generator), data.draw_strangers(2, generator)])


def test_cameras_cover_the_band_evenly_by_area(data):
    yaw, pitch = data.draw_cameras(20_000, torch.Generator().manual_seed(0))
    low, high = (math.sin(math.radians(angle)) for angle in data.PITCH_RANGE_DEG)
    assert -180 <= yaw.min() < -179
    assert 179 < yaw.max() <= 180
    height = (pitch.deg2rad().sin() - low) / (high - low)
    assert height.mean() == pytest.approx(0.5, abs=0.01)
    assert height.std() == pytest.approx(1 / math.sqrt(12), abs=0.01)


def test_toys_stand_on_white_and_know_what_they_are(toys, data):
    assert toys.image.shape == (4, 3, data.SIZE, data.SIZE)
    assert (toys.image[:, :, 0, 0] == 1).all()
    assert (toys.image.amin(dim=(1, 2, 3)) < 0.6).all()
    assert toys.label.tolist() == [0, 0, 5, 5]
    torch.testing.assert_close(toys.z.square().mean(1), torch.ones(4))


def test_a_scene_is_lit_anew_each_time_and_keeps_its_truth(scenes):
    generator = torch.Generator().manual_seed(1)
    pictures = [scenes.lit(generator) for _ in range(6)]
    images = torch.stack([one.image for one in pictures])
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.std(dim=0).mean((1, 2, 3)) > 0.01).all()  # two may be alike: of the generator's own style
    for name in ("label", "yaw_deg", "pitch_deg", "fov_deg"):
        assert torch.equal(getattr(pictures[0], name), getattr(pictures[-1], name))


def test_things_fill_the_picture_alike_whatever_the_lens(data):
    fov = torch.tensor([10.0, 20.0, 60.0])
    away = data.distance(fov)
    assert float(away[1]) == pytest.approx(data.RADIUS)
    reach = away * (fov / 2).deg2rad().sin()  # of the ball that just fits
    torch.testing.assert_close(reach, reach[1].expand(3))


@pytest.mark.parametrize("toy_share", [0.0, 1.0])
def test_only_toys_have_latents(data, monkeypatch, toy_share):
    monkeypatch.setattr(data, "TOY_SHARE", toy_share)
    monkeypatch.setattr(data, "SIZE", 16)
    drawn = data.draw_things(2, 2, torch.Generator().manual_seed(0))
    assert drawn.tensors["z"].shape == (2, 10)
    assert drawn.tensors["z"].isfinite().all() == bool(toy_share)


def test_a_moved_dot_lands_where_its_framing_says(data, monkeypatch):
    monkeypatch.setattr(data, "FRAMED_SHARE", 1.0)
    image = torch.ones(64, 3, 64, 64)
    at_x, at_y = 44, 24
    image[:, :, at_y - 1 : at_y + 1, at_x - 1 : at_x + 1] = 0
    moved, framing = data._move(image, torch.Generator().manual_seed(3))
    dark = 1 - moved[:, 0]
    grid = (torch.arange(64) + 0.5) / 64 - 0.5
    mass = dark.sum(dim=(1, 2))
    found_x = (dark * grid).sum(dim=(1, 2)) / mass
    found_y = (dark * grid[:, None]).sum(dim=(1, 2)) / mass
    x, y = at_x / 64 - 0.5, at_y / 64 - 0.5
    scale, roll = framing[:, 0].exp(), framing[:, 3].deg2rad()
    clockwise_x, clockwise_y = x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos()
    torch.testing.assert_close(found_x, scale * clockwise_x + framing[:, 1], atol=0.004, rtol=0)
    torch.testing.assert_close(found_y, scale * clockwise_y + framing[:, 2], atol=0.004, rtol=0)


def test_moving_brings_in_what_is_at_the_border(data):
    moved, _ = data._move(torch.full((8, 3, 32, 32), 0.7), torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved, torch.full_like(moved, 0.7))


def test_disturbed_pictures_stay_pictures_and_keep_their_truth(data, toys):
    rough = data.augment(toys, torch.Generator().manual_seed(0))
    assert rough.image.min() >= 0
    assert rough.image.max() <= 1
    for name in ("label", "z", "yaw_deg", "pitch_deg"):
        assert getattr(rough, name) is getattr(toys, name)


def test_flat_strangers_replace_the_end_of_a_batch(data, toys):
    mixed = data.with_flat_strangers(toys, 0.5, torch.Generator().manual_seed(0))
    assert mixed.label.tolist() == [0, 0, data.STRANGER, data.STRANGER]
    torch.testing.assert_close(mixed.image[:2], toys.image[:2])
    assert toys.label.tolist() == [0, 0, 5, 5]


def test_every_flat_stranger_is_a_picture_and_not_the_toy(strangers, toys):
    toy = toys.image[0]
    for drawer in strangers.FLAT:
        drawing = drawer(toy, torch.Generator().manual_seed(1))
        assert drawing.shape == toy.shape
        assert drawing.min() >= 0
        assert drawing.max() <= 1
        assert (drawing - toy).abs().mean() > 0.01


def test_solid_strangers_can_be_seen_and_vary_with_their_latent(data):
    drawn = data.draw_strangers(3, torch.Generator().manual_seed(4))
    assert (drawn.tensors["label"] == data.STRANGER).all()
    alpha = drawn.tensors["alpha"]
    assert (alpha.amax(dim=(1, 2, 3)) == 255).all()
    assert (alpha[0] != alpha[1]).any()


@pytest.mark.slow
def test_pictures_survive_an_interruption(data, tmp_path):
    pool = data.Pool(tmp_path, chunk=2, shard=4)
    for _ in range(3):
        pool.grow()
    assert len(pool) == 6
    again = data.Pool(tmp_path, chunk=2, shard=4)
    assert len(again) == 4  # whole shards
    again.grow()
    assert len(again) == 6
    assert again.generator.initial_seed() != pool.generator.initial_seed()  # other toys than before
    assert len(again.sample(5)) == 5


@pytest.mark.slow
def test_a_fifth_of_what_is_picked_shows_strangers_at_any_place_of_a_batch(data, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SIZE", 16)
    pool = data.Pool(tmp_path, chunk=2, shard=50)
    pool.grow()
    assert (pool.sample(50).tensors["label"] >= 0).all()  # none was drawn yet
    for _ in data.CLASSES:
        pool.grow()
    strange = pool.sample(50).tensors["label"] == data.STRANGER
    assert strange.sum() == 10
    assert strange[:40].any()


def test_two_processes_paint_for_one_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SIZE", 16)
    run, painter = (data.Pool(tmp_path, chunk=2, shard=2, lane=lane) for lane in (0, 1))
    assert run.generator.initial_seed() != painter.generator.initial_seed()
    run.grow()
    painter.grow()
    assert (len(run), len(painter)) == (2, 2)
    run.refresh()
    run.refresh()
    assert len(run) == 4


@pytest.mark.parametrize("yaw", [-179.9, 0.0, 121.0])
def test_soft_labels_peak_at_the_direction_and_wrap_around(encoder, yaw):
    soft = encoder.soft_yaw(torch.tensor([yaw]), 72)
    zero = torch.zeros(1)
    answer = Prediction(zero[None], soft.log(), zero, zero[None], torch.zeros(1, 4), zero, zero, zero, zero[None], ())
    assert float(soft.sum()) == pytest.approx(1)
    assert float(encoder.angle_gap(answer.yaw_deg, torch.tensor([yaw]))) < 0.5


def test_angles_are_compared_around_the_circle(encoder):
    gaps = encoder.angle_gap(torch.tensor([-179.0, 10.0, 90.0]), torch.tensor([179.0, 350.0, -90.0]))
    torch.testing.assert_close(gaps, torch.tensor([2.0, 20.0, 180.0]))


def test_strangers_teach_nothing_but_that_they_are_strange(encoder, data, toys):
    strange = replace(toys, label=torch.tensor([0, 0, -1, -1]))
    leaves = {
        "class_logits": torch.zeros(4, 10),
        "yaw_logits": torch.zeros(4, 72),
        "pitch_deg": torch.zeros(4),
        "z": torch.zeros(4, 10),
        "framing": torch.ones(4, 4),
        "known_logit": torch.zeros(4),
        "fov_deg": torch.full((4,), 30.0),
    }
    leaves = {name: value.requires_grad_() for name, value in leaves.items()}
    zero = torch.zeros(4)
    answer = Prediction(**leaves, familiarity=zero, unlikeness=zero, embedding=zero[:, None], features=())
    sum(encoder.losses(answer, strange).values()).backward()
    for name, leaf in leaves.items():
        taught = leaf.grad.reshape(4, -1).abs().sum(1) > 0
        assert taught.tolist() == [True, True, name == "known_logit", name == "known_logit"]


def test_things_without_a_latent_teach_everything_else(encoder, toys):
    nameless = replace(toys, z=torch.full_like(toys.z, math.nan))
    z, logit = torch.ones(4, 10, requires_grad=True), torch.zeros(4)
    answer = Prediction(
        torch.zeros(4, 10),
        torch.zeros(4, 72),
        logit,
        z,
        torch.zeros(4, 4),
        logit,
        logit,
        logit,
        logit[:, None],
        (),
        fov_deg=torch.full((4,), 20.0),
    )
    losses = encoder.losses(answer, nameless)
    assert float(losses["z"].detach()) == 0
    assert all(math.isfinite(float(value.detach())) for value in losses.values())
    sum(losses.values()).backward()
    assert not z.grad.any()


def options(encoder, folder, *more):
    few = ["--pictures", "22", "--first-pictures", "22", "--batch", "8", "--held-out", "1", "--no-bf16"]
    return encoder.parse_options(["--out", str(folder), *few, *more])


@pytest.mark.slow
def test_a_run_goes_on_where_it_stopped(encoder, tmp_path):
    trainer = encoder.Trainer(options(encoder, tmp_path))
    trainer.pool.chunk = 2
    trainer.draw()
    assert len(trainer.pool) == 22
    first = trainer.train_step()
    assert all(math.isfinite(value) for value in first.values())
    trainer.seconds = 7.0
    trainer.save()
    again = encoder.Trainer(options(encoder, tmp_path))
    assert (again.step, again.seconds) == (1, 7.0)
    for name, value in trainer.average.state_dict().items():
        torch.testing.assert_close(again.average.state_dict()[name], value)


@pytest.mark.slow
def test_the_same_scenes_again_and_again_are_learned(encoder, scenes, tmp_path):
    trainer = encoder.Trainer(options(encoder, tmp_path))
    trainer.pool._stored = [scenes]
    trainer.options.minutes = 1e9
    start = sum(trainer.train_step()[name] for name in ("label", "yaw"))
    for _ in range(30):
        last = trainer.train_step()
    assert sum(last[name] for name in ("label", "yaw")) < 0.7 * start


def test_the_report_has_a_line_per_kind_of_picture(encoder, data, toys, tmp_path):
    trainer = encoder.Trainer(options(encoder, tmp_path))
    trainer.report({"label": 1.0}, {"rough": data.augment(toys, torch.Generator().manual_seed(0))})
    row = json.loads((tmp_path / "log.jsonl").read_text())
    assert row["loss_label"] == 1.0
    assert 0 <= row["rough_class"] <= 1
    assert row["rough_yaw_median"] >= 0


def test_a_run_may_begin_with_what_the_bundled_encoder_knows(encoder, tmp_path):
    trainer = encoder.Trainer(options(encoder, tmp_path, "--start", "shapes"))
    known = encoder.load_encoder("shapes").state_dict()
    for network in (trainer.model, trainer.average):
        for name, value in network.state_dict().items():
            if name.startswith("stages") and value.is_floating_point():
                torch.testing.assert_close(value, known[name])


def test_the_generators_own_pictures_are_those_it_was_trained_on(data, monkeypatch):
    monkeypatch.setattr(data, "TOY_SHARE", 1.0)
    monkeypatch.setattr(data, "OWN_SHARE", 1.0)
    scenes = data.draw_things(5, 2, torch.Generator().manual_seed(3))
    shown = scenes.lit(torch.Generator().manual_seed(4))
    truth = data.trace(5, shown.z, shown.yaw_deg, shown.pitch_deg, label=5)
    assert (shown.fov_deg == data.FOV_Y_DEG).all()
    assert float((shown.image - truth.image).square().mean()) < 10 ** (-3)  # 30 dB: openness is measured otherwise
