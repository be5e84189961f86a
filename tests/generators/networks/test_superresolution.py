"""The super-resolution networks: sizes, what the published code does to its raw picture, where noise comes from."""

import pytest
import torch

from gen3d_tools.generators.networks import superresolution
from gen3d_tools.generators.networks.superresolution import VARIANTS, SampleSuperResolution, SuperResolutionNetwork
from gen3d_tools.workflows.bench.plain_backbone import run_block


@pytest.fixture(scope="module")
def networks():
    """All variants with few features; their blocks keep the published widths."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = {name: SuperResolutionNetwork(name, in_channels=4, w_dim=6) for name in VARIANTS}
    for network in built.values():
        for layer in (network.block0.conv0, network.block1.conv1):
            torch.nn.init.constant_(layer.noise_strength, 0.3)
    return {name: network.requires_grad_(False) for name, network in built.items()}


def features(side, batch=1):
    return torch.rand(batch, 4, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_first_blocks_upsample_where_the_factor_is_four(networks):
    ups = {name: network.block0.up for name, network in networks.items()}
    assert ups == {"8xdc": 2, "8x": 2, "4x": 1, "2x": 1, "deepfp32": 1}
    assert networks["8xdc"].block0.conv1.resolution == networks["8x"].block0.conv1.resolution == 256
    assert networks["4x"].block0.conv1.resolution == 128
    assert networks["2x"].block1.conv1.resolution == 128


@pytest.mark.parametrize(("side", "size"), [(64, 128), (20, 128)])
def test_any_number_of_rays_gives_the_published_size(networks, side, size):
    image, raw = networks["2x"](features(side), torch.ones(1, 6))
    assert image.shape == (1, 3, size, size)
    assert raw.shape == (1, 3, side, side)


def test_the_published_raw_picture_is_polluted_only_at_the_first_blocks_own_size(networks):
    network, w = networks["2x"], torch.ones(1, 6)
    small, own = features(20), features(64)
    assert torch.equal(network(small, w)[1], small[:, :3])
    polluted = network(own, w)[1]
    x = network.block0.conv1(network.block0.conv0(own, w, noise_mode="none"), w, noise_mode="none")
    torch.testing.assert_close(polluted, own[:, :3] + network.block0.torgb(x, w))
    assert (polluted - own[:, :3]).abs().max() > 0.01


def test_the_input_is_never_changed(networks):
    own = features(64)
    before = own.clone()
    networks["2x"](own, torch.ones(1, 6))
    assert torch.equal(own, before)


def test_old_files_resize_without_low_pass():
    assert not SuperResolutionNetwork("deepfp32", in_channels=4, w_dim=2, antialias=True).antialias
    assert SuperResolutionNetwork("2x", in_channels=4, w_dim=2, antialias=True).antialias


def test_a_clamp_is_for_networks_trained_in_half_precision():
    assert SuperResolutionNetwork("2x", in_channels=4, w_dim=2, clamped=False).block0.conv0.conv_clamp is None
    assert SuperResolutionNetwork("2x", in_channels=4, w_dim=2).block1.torgb.conv_clamp == 256


def test_random_noise_needs_a_generator(networks):
    def picture(mode, generator=None):
        bound = SampleSuperResolution(network=networks["2x"], w=torch.ones(6), render_resolution=64, noise_mode=mode)
        return bound(features(64)[0], generator)[0]

    silent = picture("none")
    assert torch.equal(picture("random"), silent)
    one = picture("random", torch.Generator().manual_seed(1))
    assert torch.equal(one, picture("random", torch.Generator().manual_seed(1)))
    assert (one - silent).abs().max() > 1e-3
    assert (picture("const") - silent).abs().max() > 1e-3


def test_values_between_0_and_1_go_in_and_come_out(networks):
    network = networks["2x"]
    bound = SampleSuperResolution(network=network, w=torch.ones(6), render_resolution=64)
    assert bound.resolution == 128
    image, raw = bound((features(20)[0] + 1) / 2)
    torch.testing.assert_close(image * 2 - 1, network(features(20), torch.ones(1, 6))[0][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(raw, (features(20)[0, :3] + 1) / 2)


def test_moving_it_leaves_the_generators_network_alone(networks):
    bound = SampleSuperResolution(network=networks["2x"], w=torch.ones(6), render_resolution=64)
    moved = bound.to("cpu")
    assert moved.network is not bound.network
    assert torch.equal(moved(features(20)[0])[0], bound(features(20)[0])[0])


def test_gradients_reach_the_features_and_the_latent(networks):
    x, w = features(64).requires_grad_(), torch.ones(1, 6, requires_grad=True)
    networks["2x"](x, w)[0].square().sum().backward()
    assert x.grad.abs().max() > 0
    assert w.grad.abs().max() > 0


def test_half_precision_stays_close_and_gives_float32(networks, monkeypatch):
    monkeypatch.setattr(superresolution, "usable_dtype", lambda wanted, device: wanted)  # emulated where it has to be
    exact, w = networks["2x"](features(64), torch.ones(1, 6))[0], torch.ones(1, 6)
    rough = networks["2x"](features(64), w, dtype=torch.bfloat16)[0]
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.slow
def test_blocks_are_the_plain_ones(networks):
    network, w = networks["8x"], torch.randn(1, 6, generator=torch.Generator().manual_seed(2))
    x, rgb = features(128), features(128)[:, :3]
    rows = w[:, None].expand(-1, 3, -1)
    for block in (network.block0, network.block1):
        x, rgb = run_block(block, x, rgb, rows, noise=False)
    torch.testing.assert_close(network(features(128), w)[0], rgb, atol=1e-4, rtol=1e-4)
