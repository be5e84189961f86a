"""bfloat16 is taken where a processor computes in it, and nowhere else."""

import pytest
import torch

from gen3d_tools.generators.networks import precision
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.generators.networks.superresolution import SuperResolutionNetwork


@pytest.fixture(params=[{"avx2": True}, {"avx2": True, "avx512_bf16": True}, {"amx_bf16": True}])
def processor(request, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: request.param)
    for function in (precision.computes_in_bfloat16, precision._say_once):
        function.cache_clear()
    yield any("bf16" in name for name in request.param)
    for function in (precision.computes_in_bfloat16, precision._say_once):
        function.cache_clear()


def test_a_backbone_and_a_super_resolution_never_emulate_bfloat16(processor, caplog):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = SynthesisNetwork(w_dim=6, resolution=16, image_channels=3, channel_base=128, channel_max=8)
        enlarge = SuperResolutionNetwork("2x", in_channels=4, w_dim=6)
        ws, features, w = torch.randn(1, backbone.num_ws, 6), torch.rand(1, 4, 64, 64), torch.randn(1, 6)
    used = set()
    layers = [one for network in (backbone, enlarge) for one in network.modules() if hasattr(one, "noise_strength")]
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, inputs: used.add(inputs[0].dtype))
    with torch.no_grad(), caplog.at_level("INFO", logger="gen3d_tools"):
        for _ in range(2):
            backbone(ws, dtype=torch.bfloat16)
            enlarge(features, w, dtype=torch.bfloat16)
    assert used == {torch.bfloat16 if processor else torch.float32}
    said = [record for record in caplog.records if "bfloat16" in record.message]
    assert len(said) == (0 if processor else 1)


@pytest.mark.parametrize(
    ("capability", "shape", "device", "wanted"),
    [
        ("AVX2", (1, 512, 32, 32), "cpu", True),
        ("AVX2", (32, 16, 64, 64), "cpu", False),  # each sample's are small
        ("AVX512", (1, 512, 32, 32), "cpu", False),
        ("AVX2", (1, 512, 32, 32), "meta", False),
    ],
)
def test_kernels_learn_by_channel_from_large_maps_where_that_was_measured(
    monkeypatch, capability, shape, device, wanted
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert precision.kernels_learn_by_channel(torch.empty(shape, device=device)) is wanted
