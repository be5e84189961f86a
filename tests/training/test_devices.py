"""A training step on a device other than the CPU: nothing is left behind, and networks learn what they learn there.

On any machine the device is a pretended one, which refuses what CUDA refuses; the tests marked `gpu` repeat it all.
"""

from contextlib import nullcontext
from importlib import import_module

import pytest
import torch

from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.discriminators import body
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.run.trainer import Trainer
from tests.support.pretended_device import Pretended, pretended_device
from tests.training.tiny import SMALLER, tiny_recipe, write_pictures

DEVICES = ["pretended", pytest.param("cuda", marks=pytest.mark.gpu)]
STEPS = 2  # the first has every regulariser
ALIKE = ("discriminator.half_blocks=0", "losses.density_noise=0")  # noise is drawn where it is used
LAST_PART = ("losses.sparsity_weight=4", "cameras.prior_share=0.5")


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    if request.param == "pretended":  # it has no random numbers of its own, and is on no list of names
        monkeypatch.setattr(Draws, "noise_for", lambda self, device: None if device.type == "meta" else self.jitter)
        monkeypatch.setattr(import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda *_, **__: None)
    place = pretended_device() if request.param == "pretended" else nullcontext(torch.device("cuda"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # ten bits would be another network soon
    with place as found:
        yield found


def on_cpu(tensor):
    tensor = tensor.detach()
    return tensor.held if isinstance(tensor, Pretended) else tensor.cpu()


def trained(name, folder, device, *more):
    recipe = tiny_recipe(name, *more)
    pictures = write_pictures(folder / str(device.type), side=recipe.data.resolution)
    trainer = Trainer(recipe, open_pictures(pictures, recipe.data), device=device)
    for _ in range(STEPS):
        figures = trainer.step().means()
    return trainer, figures


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [*((name, ()) for name in SMALLER), ("3dgp", LAST_PART)])
def test_a_step_is_that_of_the_cpu(name, more, device, tmp_path):
    wanted, told = trained(name, tmp_path, torch.device("cpu"), *ALIKE, *more)
    here, figures = trained(name, tmp_path, device, *ALIKE, *more)
    assert figures == pytest.approx(told, rel=1e-3, abs=1e-4)
    for which in ("generator", "discriminator", "average"):
        known = dict(getattr(wanted, which).named_parameters())
        for key, value in getattr(here, which).named_parameters():
            assert value.device.type == device.type
            torch.testing.assert_close(on_cpu(value), known[key].detach(), atol=1e-3, rtol=1e-3, msg=key)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "half"), [("3dgp", torch.bfloat16), ("eg3d", torch.float16)], ids=["3dgp", "eg3d"])
def test_a_step_of_half_precision_is_done_there(name, half, device, tmp_path, monkeypatch):
    if device.type == "meta":
        monkeypatch.setattr(body, "half_precision", lambda *_, clamped: torch.float16 if clamped else torch.bfloat16)
    used = set()
    look = body.ResidualBlock.forward

    def looked_at(self, x, vector=None):
        result = look(self, x, vector)
        used.add(result.dtype)
        return result

    monkeypatch.setattr(body.ResidualBlock, "forward", looked_at)
    trainer, figures = trained(name, tmp_path, device)
    assert used - {torch.float32} == {half}  # blocks after the fourth are not
    assert all(value == value and abs(value) < 1e4 for value in figures.values())
    assert all(on_cpu(one).isfinite().all() for one in trainer.discriminator.parameters())
