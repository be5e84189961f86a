"""The discriminators' filter is a convolution, and so are its slopes and theirs."""

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.training.discriminators.filtering import halved, low_passed


def plainly(x, padding, stride):
    taps = low_pass_filter(x.dtype, x.device).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, taps, padding=padding, stride=stride, groups=x.shape[1])


CASES = {
    "halved": (halved, lambda x: plainly(x, 1, 2)),
    "one larger": (lambda x: low_passed(x, padding=2), lambda x: plainly(x, 2, 1)),
    "one smaller": (lambda x: low_passed(x, padding=1), lambda x: plainly(x, 1, 1)),
}


@pytest.mark.parametrize(("ours", "plain"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_values_slopes_and_slopes_of_slopes(ours, plain, layout):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64).contiguous(memory_format=layout)
    found = []
    for function in (ours, plain):
        seen = x.clone().requires_grad_()
        y = function(seen)
        (slopes,) = torch.autograd.grad(y.sin().sum(), seen, create_graph=True)
        (bends,) = torch.autograd.grad(slopes.square().sum(), seen)
        found.append((y, slopes, bends))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_every_slope_is_checked_numerically():
    x = torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    for function in (halved, lambda x: low_passed(x, padding=2)):
        assert torch.autograd.gradcheck(function, (x,))
        assert torch.autograd.gradgradcheck(function, (x,))
