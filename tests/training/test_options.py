"""Options that the recipes leave off do what they say, and all that is random comes from `Draws`."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.generators.networks import precision
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.discriminators import body
from gen3d_tools.training.discriminators.body import BodyConfig
from gen3d_tools.training.discriminators.patch import PatchDiscriminator
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.losses.gradient_penalty import r1_penalty
from gen3d_tools.training.patches import whole_pictures
from gen3d_tools.training.run.trainer import Trainer
from tests.training.tiny import tiny_recipe, write_pictures


def discriminator(**options):
    torch.manual_seed(0)
    config = BodyConfig(channel_base=64, channel_max=8)
    return PatchDiscriminator(
        config, side=8, extra_blocks=0, table_width=4, modulation=8, camera_conditioned=True, **options
    )


def logits(network, angles, seed=0):
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return network(images, whole_pictures(4), None, angles, torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_raw_angles_are_two_numbers_of_the_label():
    raw, encoded = discriminator(camera_raw=True), discriminator()
    assert encoded.head_mapping.embed.weight.shape[1] - raw.head_mapping.embed.weight.shape[1] == 22
    angles = torch.tensor([[0.5, 1.2, 0.0]]).expand(4, 3)
    turned = angles + torch.tensor([2 * torch.pi, 0.0, 0.0])
    torch.testing.assert_close(logits(raw, angles), logits(raw, turned))
    assert not torch.allclose(logits(raw, angles), logits(raw, angles + 0.3))


@torch.no_grad()
def test_what_is_left_out_of_a_camera_comes_from_the_generator():
    network, angles = discriminator(camera_dropout=0.5), torch.tensor([[0.5, 1.2, 0.0]]).expand(4, 3)
    assert torch.equal(logits(network, angles), logits(network, angles))
    assert not torch.equal(logits(network, angles), logits(network, angles, seed=1))


@pytest.mark.parametrize(
    ("device", "clamped", "able", "wanted"),
    [
        ("cuda", True, True, torch.float16),
        ("cuda", True, False, torch.float16),
        ("cuda", False, True, torch.bfloat16),
        ("cuda", False, False, torch.float32),
        ("cpu", True, True, torch.bfloat16),
        ("cpu", False, True, torch.bfloat16),
        ("cpu", False, False, torch.float32),
        ("mps", True, True, torch.float32),
    ],
)
def test_half_precision_is_what_the_device_computes_in(device, clamped, able, wanted, monkeypatch):
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda kind: able)
    assert precision.half_precision(torch.device(device), clamped=clamped) == wanted


@pytest.mark.parametrize("blocks", [0, 2])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_blocks_of_half_precision_are_those_in_front(blocks, dtype, monkeypatch):
    monkeypatch.setattr(body, "half_precision", lambda of, **_: dtype)
    torch.manual_seed(0)
    config = BodyConfig(channel_base=256, channel_max=16, half_blocks=blocks)
    network = PatchDiscriminator(config, side=32, extra_blocks=0)
    used = []
    for block in (network.b32, network.b16, network.b8, network.b4.conv):
        block.register_forward_hook(lambda _, inputs, result: used.append(result.dtype))
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    logits = network(images, whole_pictures(4))
    penalty = r1_penalty(logits, [images])
    penalty.mean().backward()
    assert used == [dtype if index < blocks else torch.float32 for index in range(3)] + [torch.float32]
    assert logits.dtype == penalty.dtype == torch.float32
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    assert gradients
    assert all(one.dtype == torch.float32 and one.isfinite().all() for one in gradients)


def test_half_precision_changes_logits_and_penalties_a_little(monkeypatch):
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(body, "half_precision", lambda of, dtype=dtype, **_: dtype)
        torch.manual_seed(0)
        config = BodyConfig(channel_base=256, channel_max=16, half_blocks=4)
        network = PatchDiscriminator(config, side=32, extra_blocks=0)
        logits = network(images, whole_pictures(8))
        r1_penalty(logits, [images]).mean().backward()
        gradients = torch.cat([one.grad.flatten() for one in network.parameters() if one.grad is not None])
        found.append((logits.detach(), gradients))
    (full, full_slopes), (half, half_slopes) = found
    assert not torch.equal(full, half)
    torch.testing.assert_close(half, full, rtol=0, atol=0.02 * float(full.abs().max()) + 0.01)
    assert torch.cosine_similarity(half_slopes, full_slopes, dim=0) > 0.95


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures")


def trainer_of(pictures, *more):
    recipe = tiny_recipe("epigraf", *more)
    return Trainer(recipe, open_pictures(pictures, recipe.data))


def test_frozen_layers_stay_and_the_rest_learns(pictures):
    trainer = trainer_of(pictures, "discriminator.frozen=3")
    before = {name: value.clone() for name, value in trainer.discriminator.state_dict().items()}
    trainer.step()
    after = trainer.discriminator.state_dict()
    assert set(after) == set(trainer_of(pictures).discriminator.state_dict())
    still = {name for name, value in after.items() if torch.equal(value, before[name])}
    names = [f"b16.{layer}.weight" for layer in ("fromrgb", "conv0", "conv1")]
    assert set(names) <= still
    assert "b16.skip.weight" not in still
    with pytest.raises(InputError, match=r"discriminator\.frozen is 99, there are 7 layers"):
        trainer_of(pictures, "discriminator.frozen=99")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("epigraf", [], {"G": 1, "D": 4 / 5}),
        ("epigraf", ["losses.r1_every=1"], {"G": 1, "D": 1 / 2}),  # two steps of D for each of G
        ("epigraf", ["losses.r1_gamma=0"], {"G": 1, "D": 1}),
        ("geometry-aware", ["losses.r1_gamma=0", "losses.density_weight=0"], {"G": 1, "D": 4 / 5}),
        ("geometry-aware", ["losses.density_weight=1", "losses.density_every=1"], {"G": 1 / 2, "D": 4 / 5}),
    ],
)
def test_adam_is_corrected_for_each_phase_that_regularises(name, changes, expected, pictures):
    recipe = tiny_recipe(name, *changes)
    trainer = Trainer(recipe, open_pictures(pictures, recipe.data))
    rates = {"G": recipe.optimisation.g_lr, "D": recipe.optimisation.d_lr}
    for which, share in expected.items():
        (group,) = trainer.contest.optimisers[which].param_groups
        assert group["lr"] == pytest.approx(rates[which] * share)
        assert group["betas"][1] == pytest.approx(recipe.optimisation.beta2**share)


def test_mixed_styles_change_the_later_layers_alone(pictures):
    trainer = trainer_of(pictures, "losses.style_mixing=1.0")
    objective = trainer.contest.objective
    cuts = {objective.request(Draws(seed), 4, trainer.conditions, 0.0).later_from for seed in range(60)}
    assert cuts == set(range(1, trainer.generator.num_ws))
    assert trainer_of(pictures).contest.objective.request(Draws(0), 4, trainer.conditions, 0.0).later_z is None
    assert trainer.step().means()["loss/G"] > 0


def test_noise_on_angles_is_measured_in_deviations_of_the_batch(pictures):
    objective = trainer_of(pictures).contest.objective
    objective.judged = replace(objective.judged, camera_conditioned=True, camera_noise=0.5)
    angles = torch.stack([torch.linspace(-1, 1, 1000), torch.full((1000,), 1.3), torch.zeros(1000)], -1)
    told, _ = objective._told(angles, Draws(0))
    assert float((told - angles)[:, 0].std() / angles[:, 0].std()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(told[:, 1:], angles[:, 1:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("3dgp", ()),
        ("epigraf", ()),
        ("eg3d", ()),
        ("geometry-aware", ("discriminator.views=2",)),
        ("geometry-aware", ("discriminator.views=2", "discriminator.view_mode=pack")),
    ],
)
def test_what_a_discriminator_sees_is_augmented(name, more, tmp_path):
    recipe = tiny_recipe(name, "augmentation.enabled=true", *more)
    trainer = Trainer(recipe, open_pictures(write_pictures(tmp_path, side=recipe.data.resolution), recipe.data))
    seen = []
    hook = trainer.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    for strength in (0.0, 1.0):
        trainer.augmentation.strength = strength
        number, real = trainer._real_rounds()[0]
        request, draws = trainer._made_of(0, number, len(real))
        trainer.contest.objective.loss("Dreg", real, request, draws, kimg=1000.0)
    hook.remove()
    plain, augmented = seen
    assert not torch.allclose(plain, augmented, atol=0.1)
