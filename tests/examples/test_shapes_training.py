import itertools
import json
import math

import pytest
import torch

import gen3d_tools as g3


@pytest.fixture(scope="module")
def recipe(shapes_on_path):
    """The recipe's modules by name."""
    import evaluate
    import export
    import muon
    import train

    return {"evaluate": evaluate, "export": export, "muon": muon, "train": train}


@pytest.fixture(scope="module")
def train(recipe):
    return recipe["train"]


@pytest.fixture(scope="module")
def batch(train):
    torch.manual_seed(1)
    return train.draw_batch(1, 64, device="cpu", generator=torch.Generator().manual_seed(1))


def options(train, folder, *more):
    return train.parse_options(["--out", str(folder), "--device", "cpu", "--no-bf16", *more])


@pytest.fixture(scope="module")
def trained(train, batch, tmp_path_factory):
    """A run of two steps, saved, and the loss of its third."""
    trainer = train.Trainer(options(train, tmp_path_factory.mktemp("runs") / "shapes"))
    trainer.seconds = 3600.0  # half of the time budget
    for _ in range(2):
        trainer.train_step(batch)
    trainer.save()
    return trainer.path.parent, trainer.train_step(batch)


@pytest.mark.slow
def test_a_run_continues_where_it_was_interrupted(train, batch, trained):
    folder, loss_of_third_step = trained
    resumed = train.Trainer(options(train, folder))
    assert (resumed.step, resumed.seconds) == (2, 3600.0)
    assert resumed.train_step(batch) == pytest.approx(loss_of_third_step, rel=1e-5)


def test_a_resumed_run_draws_other_shapes(train, trained, tmp_path):
    train.Trainer(options(train, tmp_path / "fresh"))
    first = torch.randn(4)
    train.Trainer(options(train, trained[0]))
    assert not torch.equal(torch.randn(4), first)


@pytest.mark.slow
def test_a_step_learns_and_moves_the_average(train, batch, tmp_path):
    trainer = train.Trainer(options(train, tmp_path / "run"))
    name = "decoder.net.0.weight"
    before = trainer.average.state_dict()[name].clone()
    loss = trainer.train_step(batch)
    after = trainer.model.state_dict()[name]
    assert not torch.equal(after, before)
    decay = 2 / 11  # (1 + step) / (10 + step) at step 1
    torch.testing.assert_close(trainer.average.state_dict()[name], decay * before + (1 - decay) * after)
    for _ in range(6):  # the same shapes again
        last = trainer.train_step(batch)
    assert last < loss


def test_planes_grow_with_the_time_used(train, tmp_path):
    trainer = train.Trainer(options(train, tmp_path / "run", "--minutes", "10"))
    for until, resolution in train.PHASES:
        trainer.seconds = 600 * until - 0.01
        assert trainer.resolution == resolution
    trainer.seconds = 700
    assert trainer.progress == 1
    assert trainer.resolution == trainer.model.config.plane_resolution  # the run ends with the planes that are exported


@pytest.mark.slow
def test_a_run_ends_with_a_checkpoint_and_a_line_in_its_log(train, tmp_path):
    run = ["--minutes", "1e-6", "--per-class", "1", "--points", "64"]
    trainer = train.Trainer(options(train, tmp_path / "run", *run))
    trainer.run()
    assert trainer.step == 1
    assert {file.name for file in trainer.path.parent.iterdir()} == {"checkpoint.pt", "log.jsonl"}
    (row,) = map(json.loads, (trainer.path.parent / "log.jsonl").read_text().splitlines())
    progress = {"minutes", "step", "resolution", "loss"}
    assert set(row) == progress | {"iou", "worst_class_iou", "worst_class", "color_l1", "false_solid"}
    assert all(math.isfinite(value) for value in row.values())


def test_validation_of_the_truth_is_perfect(train, batch):
    def oracle(z, labels, points, *, resolution):
        return -batch.distance, batch.rgb

    measured = train.validate(oracle, batch, 32)
    assert measured["iou"] == 1
    assert measured["worst_class_iou"] == 1
    assert measured["color_l1"] == 0
    assert measured["false_solid"] == 0


def test_validation_counts_solid_far_outside_as_false(train, batch):
    measured = train.validate(lambda *_, resolution: (torch.ones(10, 64), batch.rgb), batch, 32)
    assert measured["false_solid"] == 1
    assert measured["iou"] < 0.7


def test_losses_of_the_truth_are_zero(train, batch):
    truth = (-batch.distance / train.SIGNED_DISTANCE_UNIT).clamp(-1, 1)
    assert [loss.item() for loss in train.losses(truth, batch.rgb, batch)] == [0, 0]


def test_overshooting_the_truncation_is_free(train, batch):
    truth = -batch.distance / train.SIGNED_DISTANCE_UNIT
    beyond = torch.where(truth.abs() >= 1, 50 * truth, truth)
    assert train.losses(beyond, batch.rgb, batch)[0] == 0


def test_solid_points_pull_even_when_everything_is_predicted_empty(train, batch):
    predicted = torch.full_like(batch.distance, -5.0, requires_grad=True)
    train.losses(predicted, batch.rgb, batch)[0].backward()
    inside = batch.distance < -train.SIGNED_DISTANCE_UNIT
    assert inside.any()
    assert (predicted.grad[inside] < 0).all()  # descent raises them
    assert (predicted.grad[batch.distance >= train.SIGNED_DISTANCE_UNIT] == 0).all()


def test_colours_are_asked_for_near_the_surface_only(train, batch):
    rgb = batch.rgb.clone().requires_grad_()
    train.losses(torch.zeros_like(batch.distance), rgb + 0.1, batch)[1].backward()
    pull = rgb.grad.abs().sum(-1)
    assert pull[batch.distance.abs() < 0.005].min() > 100 * pull[batch.distance.abs() > 0.1].max()


def test_each_batch_is_used_about_as_often_as_asked(train, monkeypatch):
    serial = itertools.count()
    monkeypatch.setattr(train, "draw_batch", lambda *_, **__: next(serial))
    stream = train.stream_batches(1, 1, reuse=4, pool=20, device="cpu")
    used = [next(stream) for _ in range(408)]
    assert max(used) + 1 == pytest.approx(408 / 4, abs=8)
    assert len(set(used[-40:])) > 15  # old ones come back, not only the newest


@pytest.mark.parametrize("shape", [(3, 16, 144), (3, 144, 16)])
def test_orthogonalised_updates_have_singular_values_near_one(recipe, shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    singular_values = torch.linalg.svdvals(recipe["muon"].orthogonalize(matrices))
    assert singular_values.min() > 0.6
    assert singular_values.max() < 1.3


def test_muon_changes_a_kernel_by_its_rate_whatever_the_gradient(recipe):
    kernel = torch.nn.Parameter(torch.zeros(24, 32, 3, 3))
    optimizer = recipe["muon"].Muon([kernel], lr=0.02)
    kernel.grad = 1e-4 * torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert kernel.square().mean().sqrt().item() == pytest.approx(0.02, rel=0.25)
    assert (kernel * kernel.grad).sum() < 0  # downhill


@pytest.fixture(scope="module")
def exported(recipe, trained):
    return recipe["export"].build(trained[0] / "checkpoint.pt", samples=64)


def test_the_exported_field_is_the_trained_one_with_gain(recipe, train, trained, exported):
    averaged = train.TrainableField()
    averaged.load_state_dict(torch.load(trained[0] / "checkpoint.pt", weights_only=True)["average"])
    generator = torch.Generator().manual_seed(2)
    z, points = torch.randn(1, 10, generator=generator), torch.rand(1, 500, 3, generator=generator) - 0.5
    points = points * recipe["export"].deployed_config().box_side  # up to the centres of the outermost texels
    with torch.no_grad():
        distance, rgb = averaged(z, torch.tensor([4]), points, resolution=averaged.config.plane_resolution)
        (field,) = exported.fields(exported.map(z, torch.eye(10)[[4]]))
        values, raw = field(points[0])
    gain = recipe["export"].DENSITY_GAIN
    torch.testing.assert_close(raw / gain, distance[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(values, rgb[0], atol=1e-5, rtol=1e-4)


def test_the_exported_field_is_empty_where_lookups_mix_in_the_zeros_around_a_plane(exported):
    (field,) = exported.fields(exported.latents([0], ["mug"]))
    edge = torch.linspace(0.4975, 0.5, 50)[:, None] * torch.tensor([[1.0, 0.3, -0.2]])
    assert (field.density(edge) == 0).all()


def test_the_exported_mean_latent_is_that_of_its_class(exported):
    mapping = exported.backbone.mapping
    z = torch.randn(4000, 10, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        means = torch.stack([mapping(z, row.expand(4000, -1)).mean(0) for row in torch.eye(10)])
    nearest = torch.cdist(mapping.w_avg, means).argmin(dim=1)
    assert nearest.tolist() == list(range(10))


def test_an_exported_model_is_loaded_by_the_package(exported, tmp_path):
    exported.save(tmp_path / "model", dtype=torch.float16)
    loaded = g3.load_generator(tmp_path / "model", device="cpu")
    assert loaded.class_names == exported.class_names
    assert loaded.settings.provenance["training_steps"] == 2
    ws = exported.latents([0], ["mug"], truncation_psi=0.7)
    torch.testing.assert_close(loaded.latents([0], ["mug"], truncation_psi=0.7), ws, atol=0.02, rtol=0.02)


def test_picture_scores_have_closed_forms(recipe):
    evaluate = recipe["evaluate"]
    grey = torch.full((3, 8, 8), 0.5)
    assert evaluate.psnr(grey, grey + 0.1) == pytest.approx(20, abs=0.01)
    left, top = torch.zeros(8, 8, dtype=torch.bool), torch.zeros(8, 8, dtype=torch.bool)
    left[:, :4], top[:4] = True, True
    assert evaluate.iou(left, top) == pytest.approx(1 / 3)


def test_the_table_ends_with_the_mean_of_the_classes(recipe):
    evaluate = recipe["evaluate"]
    rows = [evaluate.Row("car", 20.0, 0.9, 0.8, 1.0), evaluate.Row("mug", 30.0, 1.0, 0.9, 2.0)]
    assert evaluate.table(rows).splitlines()[-1] == "| **mean** | 25.0 | 0.950 | 0.850 | 1.5 |"
