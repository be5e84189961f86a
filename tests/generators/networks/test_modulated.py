"""Modulated layers as one step of autograd: gradients, and gradients of gradients, against finite differences."""

import pytest
import torch

from gen3d_tools.generators.networks import convolution
from gen3d_tools.generators.networks.layers import low_pass_filter, upsample_image
from gen3d_tools.generators.networks.modulated import Kept, LayerShape, add_mixed_channels, modulated_layer


def drawn(*shape: int) -> torch.Tensor:
    """Numbers in double precision that take gradients."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape) + shape[-1]))


def layer_case(batch: int, side: int, *, doubles: bool, noise: bool, clamp: float | None):
    """A layer's tensors and a function of them."""
    x, weight, styles, bias = drawn(batch, 3, side, side), drawn(2, 3, 3, 3), drawn(batch, 3), drawn(2)
    maps = drawn(*((side * 2,) * 2 if doubles else (side,) * 2)) if noise else None
    tensors = [one.requires_grad_() for one in (x, weight, styles, bias, maps) if one is not None]
    taps = low_pass_filter(torch.float64, x.device) * 4 if doubles else None
    shape = LayerShape(1.4, 0.2, clamp, doubles)

    def layer(x, weight, styles, bias, maps=None):
        return modulated_layer(x, weight, styles, bias, maps, taps, shape)

    return layer, tensors


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("doubles", [False, True])
@pytest.mark.parametrize("by_channel", [False, True])  # as on processors with AVX2
@pytest.mark.parametrize(("batch", "side"), [(1, 2), (1, 5), (2, 3)])  # the kernel is larger, smaller, shared
def test_gradients_are_those_of_finite_differences(monkeypatch, batch, side, by_channel, doubles, noise):
    monkeypatch.setattr(convolution, "kernels_learn_by_channel", lambda maps: by_channel)
    layer, tensors = layer_case(batch, side, doubles=doubles, noise=noise, clamp=None)
    assert torch.autograd.gradcheck(layer, tensors)
    assert torch.autograd.gradcheck(layer, [tensors[0].detach(), tensors[1], *tensors[2:]])
    frozen = [tensors[0], tensors[1].detach(), *tensors[2:]]
    assert torch.autograd.gradcheck(layer, frozen)


def test_gradients_have_gradients():
    layer, tensors = layer_case(1, 2, doubles=True, noise=True, clamp=None)
    assert torch.autograd.gradgradcheck(layer, tensors)


def test_a_clamped_value_has_no_gradient():
    layer, tensors = layer_case(1, 4, doubles=False, noise=False, clamp=0.3)
    assert torch.autograd.gradcheck(layer, tensors)


def test_a_kept_kernel_gives_what_the_kernel_gives():
    layer, (x, weight, styles, bias) = layer_case(1, 5, doubles=False, noise=False, clamp=None)
    kept = Kept(weight.detach().square().sum((2, 3)), weight.detach().contiguous(memory_format=torch.channels_last))
    other = modulated_layer(x, weight.detach(), styles, bias, None, None, LayerShape(1.4, 0.2, None, False), kept)
    torch.testing.assert_close(other, layer(x, weight, styles, bias))


@pytest.mark.slow
@pytest.mark.parametrize("image", [False, True])
def test_mixed_channels_are_added_with_gradients(image):
    x, kernels, bias = drawn(2, 3, 4, 4), drawn(2, 5, 3), drawn(5)
    tensors = [one.requires_grad_() for one in (x, kernels, bias)]

    def add(x, kernels, bias, below=None):
        return add_mixed_channels(None if below is None else below * 1, x, kernels, bias)

    if image:
        tensors.append(drawn(2, 5, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_())
    wanted = torch.einsum("boc,bchw->bohw", kernels, x) + bias[:, None, None]
    torch.testing.assert_close(add(*tensors), wanted + tensors[3] if image else wanted)
    assert torch.autograd.gradcheck(add, tensors)
    assert torch.autograd.gradgradcheck(add, tensors)


def test_a_doubled_image_is_what_the_filter_gives():
    image = drawn(1, 2, 3, 3).requires_grad_()
    spread = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    spread[:, :, ::2, ::2] = image.detach()
    taps = (low_pass_filter(torch.float64, image.device) * 4).expand(2, 1, 4, 4)
    wanted = torch.nn.functional.conv2d(torch.nn.functional.pad(spread, (2, 1, 2, 1)), taps, groups=2)
    torch.testing.assert_close(upsample_image(image).detach(), wanted)
    assert torch.autograd.gradcheck(upsample_image, [image])
