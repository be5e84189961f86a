"""Mapping and synthesis networks: vectors of the original system, bookkeeping of the latents."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.generators.latents import truncate
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, SynthesisNetwork
from gen3d_tools.workflows.bench.plain_backbone import synthesize

GOLDEN = Path(__file__).parents[2] / "golden" / "eg3d"
CASES = json.loads((GOLDEN / "mapping.json").read_text())["subcases"]
RENAMED = {
    "c_dim": "label_dim",
    "embed_features": "embed_dim",
    "layer_features": "layer_dim",
}


def tiny(**changes):
    options = {"w_dim": 6, "resolution": 16, "image_channels": 9, "channel_base": 64, "channel_max": 8} | changes
    torch.manual_seed(0)
    return SynthesisNetwork(**options)


@pytest.mark.parametrize("case", CASES)
def test_mapping_and_truncation_match_the_original(case):
    tensors = load_file(GOLDEN / "mapping.safetensors")
    arguments = {RENAMED.get(key, key): value for key, value in CASES[case]["init_kwargs"].items()}
    num_ws = arguments.pop("num_ws")
    network = MappingNetwork(**arguments)
    prefix = f"params.{case}."
    network.load_state_dict({k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)})
    with torch.no_grad():
        w = network(tensors[f"in.{case}.z"], tensors[f"in.{case}.c"])
    ws = w[:, None].expand(-1, num_ws, -1)
    for index, call in enumerate(CASES[case]["calls"]):
        truncated = truncate(ws, network.w_avg, call["psi"], call["cutoff"])
        torch.testing.assert_close(truncated, tensors[f"out.{case}.ws_{index}"], atol=1e-5, rtol=0)


def test_truncation_takes_each_samples_own_mean():
    ws, mean = torch.randn(2, 3, 4), torch.randn(2, 4)
    torch.testing.assert_close(truncate(ws, mean[:, None], 0.0), mean[:, None].expand(-1, 3, -1))


def test_conditional_mapping_asks_for_its_label():
    with pytest.raises(ValueError, match="label of 3 numbers"):
        MappingNetwork(z_dim=4, label_dim=3, w_dim=4)(torch.zeros(1, 4))


@pytest.mark.parametrize(("resolution", "plain", "extra"), [(4, 2, 4), (16, 6, 12), (256, 14, 28)])
def test_number_of_latents(resolution, plain, extra):
    sizes = {"resolution": resolution, "channel_base": 512, "channel_max": 2}
    assert tiny(**sizes).num_ws == plain
    assert tiny(**sizes, extra_blocks=True).num_ws == extra


def test_every_latent_row_matters_and_only_within_its_sample():
    network = tiny(extra_blocks=True)
    ws = torch.randn(2, network.num_ws, 6)
    with torch.no_grad():
        before = network(ws)
        for row in range(network.num_ws):
            changed = ws.clone()
            changed[0, row] += 1
            after = network(changed)
            assert not torch.equal(after[0], before[0]), f"row {row} is never read"
            torch.testing.assert_close(after[1], before[1])


def test_stopping_early_gives_the_running_image_of_that_resolution():
    network = tiny()
    ws = torch.randn(1, network.num_ws, 6)
    with torch.no_grad():
        assert network(ws, stop_at=8).shape == (1, 9, 8, 8)
        torch.testing.assert_close(network(ws, stop_at=16), network(ws))


def test_extra_blocks_that_pass_everything_on_leave_plain_stylegan2():
    """Silence the extra blocks: what is left is the plain network, reading the same rows of one repeated w."""
    extra, plain = tiny(extra_blocks=True), tiny()
    plain.load_state_dict({name: value for name, value in extra.state_dict().items() if not name.startswith("x")})
    for name, _, block in extra.blocks():
        if name.startswith("x"):
            block.forward = lambda x, image, *args, **kwargs: (x, image)
    w = torch.randn(1, 1, 6)
    with torch.no_grad():
        torch.testing.assert_close(extra(w.expand(-1, extra.num_ws, -1)), plain(w.expand(-1, plain.num_ws, -1)))


def test_bfloat16_convolutions_stay_close():
    network = tiny(resolution=32)
    ws = torch.randn(1, network.num_ws, 6)
    with torch.no_grad():
        exact, rough = network(ws), network(ws, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


def test_every_resolution_needs_a_channel():
    with pytest.raises(ValueError, match="channel_base 8 leaves no channel at resolution 16"):
        tiny(channel_base=8)


def test_resolution_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="got 24"):
        tiny(resolution=24)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("extra_blocks", [False, True])
def test_the_network_is_the_plain_one(batch, extra_blocks):
    """Merged passes, kept norms and kernels scaled ahead change nothing but rounding."""
    network = tiny(resolution=32, extra_blocks=extra_blocks, conv_clamp=1.5)
    ws = torch.randn(batch, network.num_ws, 6)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                parameter.normal_(1.0)
        wanted = synthesize(network, ws)
        for _ in range(2):  # the second time with what was kept of the first
            difference = (network(ws) - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()
            assert difference < 1e-5


def test_gradients_see_the_same_network():
    network = tiny(resolution=16)
    ws = torch.randn(1, network.num_ws, 6, requires_grad=True)
    with torch.no_grad():
        without = network(ws)
    image = network(ws)
    torch.testing.assert_close(image.detach(), without, atol=1e-5, rtol=1e-5)
    image.square().mean().backward()
    slope, direction = ws.grad, torch.randn(ws.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ahead, behind = (network(ws + step * direction).square().mean() for step in (1e-2, -1e-2))
    assert ((ahead - behind) / 2e-2).item() == pytest.approx((slope * direction).sum().item(), rel=0.02)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_kept_norms_follow_the_kernel():
    network = tiny()
    ws = torch.randn(1, network.num_ws, 6)
    with torch.no_grad():
        network(ws)
        for parameter in network.parameters():
            parameter.mul_(1.5)
        torch.testing.assert_close(network(ws), synthesize(network, ws), atol=1e-4, rtol=1e-4)
        network.load_state_dict(tiny(channel_max=8).state_dict(), assign=True)
        torch.testing.assert_close(network(ws), synthesize(network, ws), atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        network(ws)
    wanted = ws.clone().requires_grad_()
    network(wanted).sum().backward()  # nothing kept in inference mode stands in the way
    assert wanted.grad.abs().max() > 0
