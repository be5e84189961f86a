"""The layers against vectors of the original system, and what must hold beyond them."""

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.layers import (
    LRELU_GAIN,
    FullyConnected,
    SynthesisLayer,
    ToRGB,
    low_pass_filter,
    modulated_conv2d,
    normalize_second_moment,
    upsample_image,
)
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.workflows.bench import plain_backbone

GOLDEN = Path(__file__).parents[2] / "golden" / "eg3d"


@pytest.fixture(scope="module")
def ops():
    return load_file(GOLDEN / "ops.safetensors")


def test_low_pass_filter_matches_the_original(ops):
    torch.testing.assert_close(low_pass_filter(torch.float32, torch.device("cpu")), ops["out.filter"])


def test_skip_upsampling_matches_the_original_up_to_the_border(ops):
    torch.testing.assert_close(upsample_image(ops["in.upsample2d.x"]), ops["out.upsample2d.y"], atol=1e-5, rtol=0)


def test_second_moment_normalisation_matches_the_original(ops):
    torch.testing.assert_close(normalize_second_moment(ops["in.norm2.x"]), ops["out.norm2.y"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("case", "activation", "lr_multiplier"), [("lin", "linear", 1.0), ("lr", "lrelu", 0.01), ("dec", "linear", 0.5)]
)
def test_fully_connected_matches_the_original(ops, case, activation, lr_multiplier):
    weight, bias = ops[f"in.fc.{case}.weight"], ops[f"in.fc.{case}.bias"]
    layer = FullyConnected(*reversed(weight.shape), activation=activation, lr_multiplier=lr_multiplier)
    layer.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(layer(ops[f"in.fc.{case}.x"]), ops[f"out.fc.{case}.y"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("case", "up", "noise"), [("same", 1, slice(6)), ("up2", 2, slice(12)), ("up2_unfused", 2, slice(12))]
)
def test_modulated_convolution_matches_the_original(ops, case, up, noise):
    x, weight, styles = (ops[f"in.modconv.{name}"] for name in ("x", "weight", "styles"))
    y = modulated_conv2d(x, weight, styles, up=up) + ops["in.modconv.noise"][noise, noise]
    torch.testing.assert_close(y, ops[f"out.modconv.{case}"], atol=1e-5, rtol=0)


def test_modulated_convolution_without_demodulation_matches_the_original(ops):
    weight = ops["in.modconv.weight"][:, :, 1:2, 1:2]
    y = modulated_conv2d(ops["in.modconv.x"], weight, ops["in.modconv.styles"], demodulate=False)
    torch.testing.assert_close(y, ops["out.modconv.no_demod_1x1"], atol=1e-5, rtol=0)


def test_synthesis_layer_orders_noise_bias_activation_gain_and_clamp_like_the_original(ops):
    layer = SynthesisLayer(4, 5, w_dim=4, resolution=12, up=2, conv_clamp=1.0)
    with torch.no_grad():
        layer.weight.copy_(ops["in.modconv.weight"])
        layer.bias.copy_(ops["in.modconv.bias"])
        layer.noise_const.copy_(ops["in.modconv.noise"])
        layer.noise_strength.fill_(1.0)
        layer.affine.weight.copy_(torch.eye(4) * 2)  # the equalised gain is 1 / sqrt(4)
        layer.affine.bias.zero_()
        y = layer(ops["in.modconv.x"], ops["in.modconv.styles"])
    torch.testing.assert_close(y, ops["out.modconv.up2_act"], atol=1e-5, rtol=0)


def test_decoder_matches_the_original(ops):
    decoder = Decoder(32, (64,), 32, lr_multiplier=0.5)
    prefix = "in.decoder."
    decoder.load_state_dict({k.removeprefix(prefix): v for k, v in ops.items() if k.startswith(prefix + "net.")})
    with torch.no_grad():
        values, raw = decoder(ops["in.decoder.features"].mean(1))
    torch.testing.assert_close(values, ops["out.decoder.rgb"], atol=1e-5, rtol=0)
    torch.testing.assert_close(raw, ops["out.decoder.sigma"][..., 0], atol=1e-4, rtol=1e-5)


def test_density_gain_scales_the_raw_density_only():
    torch.manual_seed(0)
    plain, scaled = Decoder(4, (8, 8), 3), Decoder(4, (8, 8), 3, density_gain=100.0)
    scaled.load_state_dict(plain.state_dict())
    features = torch.randn(10, 4)
    torch.testing.assert_close(scaled(features)[1], 100 * plain(features)[1])
    torch.testing.assert_close(scaled(features)[0], plain(features)[0])


def test_a_sample_does_not_see_its_neighbours_in_the_batch():
    torch.manual_seed(1)
    layer, w, x = SynthesisLayer(4, 6, w_dim=8, resolution=8, up=2), torch.randn(3, 8), torch.randn(3, 4, 4, 4)
    torch.testing.assert_close(layer(x, w)[1:2], layer(x[1:2], w[1:2]))


def test_demodulation_makes_the_output_independent_of_the_kernel_scale():
    torch.manual_seed(2)
    x, weight, styles = torch.randn(2, 4, 8, 8), torch.randn(5, 4, 3, 3), torch.randn(2, 4)
    torch.testing.assert_close(modulated_conv2d(x, weight, styles), modulated_conv2d(x, 7 * weight, styles))


def test_random_noise_follows_its_generator_and_none_is_silent():
    torch.manual_seed(3)
    layer, x, w = SynthesisLayer(3, 3, w_dim=4, resolution=4), torch.randn(1, 3, 4, 4), torch.randn(1, 4)
    torch.nn.init.ones_(layer.noise_strength)

    def run(seed):
        return layer(x, w, noise_mode="random", generator=torch.Generator().manual_seed(seed))

    torch.testing.assert_close(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    torch.nn.init.zeros_(layer.noise_strength)
    torch.testing.assert_close(run(0), layer(x, w, noise_mode="none"))


def test_to_rgb_is_linear_in_its_styles():
    torch.manual_seed(4)
    layer, x = ToRGB(4, 6, w_dim=8), torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        layer.affine.bias.zero_()
        w = torch.randn(1, 8)
        torch.testing.assert_close(layer(x, 3 * w), 3 * layer(x, w))


def test_gain_folds_into_the_demodulation():
    torch.manual_seed(5)
    x, weight, styles = torch.randn(2, 4, 6, 6), torch.randn(3, 4, 3, 3), torch.randn(2, 4)
    scaled = modulated_conv2d(x, weight, styles, gain=LRELU_GAIN)
    torch.testing.assert_close(scaled, modulated_conv2d(x, weight, styles) * LRELU_GAIN)


@pytest.mark.parametrize("use_noise", [False, True])
@pytest.mark.parametrize("conv_clamp", [None, 1.0])
def test_a_network_that_learns_has_the_gradients_of_the_published_formulation(use_noise, conv_clamp):
    """Grouped convolutions with kernels per sample, and torch's own graph; gradients of gradients too."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"resolution": 16, "image_channels": 6, "channel_base": 128, "channel_max": 12}
        network = SynthesisNetwork(w_dim=8, use_noise=use_noise, conv_clamp=conv_clamp, **sizes)
        for name, parameter in network.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                nn.init.normal_(parameter)
        ws = torch.randn(2, network.num_ws, 8, requires_grad=True)
    found = []
    for synthesize in (network, partial(plain_backbone.synthesize, network)):
        image = synthesize(ws)
        leaves = [ws, *network.parameters()]
        slopes = torch.autograd.grad((image**3).sum(), leaves, create_graph=True, allow_unused=True)
        further = torch.autograd.grad(slopes[0].square().sum(), ws)
        found.append([image, *slopes, *further])
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours - theirs).norm() <= 1e-4 * theirs.norm() + 1e-6
