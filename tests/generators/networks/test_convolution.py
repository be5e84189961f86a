"""Which convolutions are computed in tiles, and that they are what torch gives."""

from inspect import unwrap

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from gen3d_tools.generators.networks import convolution
from gen3d_tools.generators.networks.convolution import convolution_backward, convolve
from gen3d_tools.generators.networks.layers import low_pass_filter

TAPS = low_pass_filter(torch.float32, torch.device("cpu")) * 4


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Names of the kernels that are called."""
    made: list[str] = []
    for name in ("convolve", "kernel_slopes"):
        own = getattr(convolution.winograd, name)

        def noted(*arguments, name=name, own=own, **options):
            made.append(name)
            own(*arguments, **options)

        monkeypatch.setattr(convolution.winograd, name, noted)
    return made


def directly(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return F.conv2d(x, kernel, bias, padding=1)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).norm() <= 4e-6 * other.norm())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("last", [False, True])  # channels, in memory
def test_large_maps_are_convolved_in_tiles(calls, bias, last):
    x, kernel, added = drawn(2, 16, 20, 21), drawn(24, 16, 3, 3), drawn(24) if bias else None
    given = x.contiguous(memory_format=torch.channels_last) if last else x
    wanted = F.conv2d(x, kernel, added, padding=1)
    assert close(convolve(given, kernel, added, learning=True), wanted)
    assert calls == ["convolve"]
    assert close(convolve(given, kernel, added), wanted)
    assert calls == ["convolve"]  # a picture of a small network is not worth it


def test_a_sample_does_not_depend_on_those_beside_it(calls):
    many, kernel = drawn(20, 32, 64, 64), drawn(32, 32, 3, 3)
    convolve(many, kernel, None)
    assert not calls  # as for one of them alone
    few, kernel = drawn(3, 128, 64, 64), drawn(128, 128, 3, 3)
    together = convolve(few, kernel, None)
    assert calls
    assert all(
        torch.equal(together[index : index + 1], convolve(few[index : index + 1], kernel, None)) for index in range(3)
    )


def test_much_work_is_done_in_tiles_also_where_it_is_done_once(calls):
    x, kernel = drawn(1, 128, 64, 64), drawn(128, 128, 3, 3)
    assert close(convolve(x, kernel, None), F.conv2d(x, kernel, padding=1))
    assert calls == ["convolve"]


@pytest.mark.parametrize(
    ("x", "kernel"),
    [
        (drawn(1, 16, 8, 8), drawn(16, 16, 3, 3)),  # small
        (drawn(1, 16, 40, 40), drawn(16, 16, 1, 1)),
        (drawn(1, 12, 40, 40), drawn(16, 12, 3, 3)),  # channels that fill no vector
        (drawn(1, 16, 40, 40), drawn(3, 16, 3, 3)),
        (drawn(1, 16, 40, 40).double(), drawn(16, 16, 3, 3).double()),
        (drawn(1, 16, 40, 40).bfloat16(), drawn(16, 16, 3, 3).bfloat16()),
    ],
)
def test_other_convolutions_are_torchs(calls, x, kernel):
    assert torch.equal(convolve(x, kernel, None, learning=True), F.conv2d(x, kernel, padding=kernel.shape[-1] // 2))
    assert not calls


def test_a_bias_may_lie_anyhow(calls):
    x, kernel = drawn(1, 16, 30, 30), drawn(24, 16, 3, 3)
    for bias in (drawn(24, 2)[:, 1], drawn(1).expand(24)):
        assert close(convolve(x, kernel, bias, learning=True), directly(x, kernel, bias))
    assert calls == ["convolve", "convolve"]


@pytest.mark.parametrize(
    ("channels", "biases", "dtype"), [(32, 24, None), (8, 24, None), (16, 40, None), (16, 8, None), (16, 24, "float64")]
)
def test_what_does_not_fit_is_refused_as_torch_refuses_it(channels, biases, dtype):
    bias = drawn(biases).to(dtype and getattr(torch, dtype))
    with pytest.raises(RuntimeError, match=r"channels|bias"):  # the checks of shapes in our tests left out
        unwrap(convolve)(drawn(1, channels, 30, 30), drawn(24, 16, 3, 3), bias, learning=True)


def test_defaults_of_torch_change_nothing(monkeypatch):
    given = drawn(1, 16, 30, 30), drawn(24, 16, 3, 3), drawn(24)
    wanted = convolve(*given, learning=True)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            assert torch.equal(convolve(*given, learning=True), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_torch_compiles_is_torchs(calls, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    x, kernel = drawn(1, 8, 30, 30), drawn(8, 8, 3, 3)
    assert torch.equal(convolve(x, kernel, None, learning=True), directly(x, kernel, None))
    assert not calls


def of_fake_tensors(layer, x):
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        return layer(fake.from_tensor(x)).shape


def traced(layer, x):
    return torch.jit.trace(layer, torch.zeros_like(x), check_trace=False)(x)


def of_forward_gradients(layer, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(layer(forward_ad.make_dual(x, 2 * x))).tangent


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of the checks of shapes in our tests
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, of what serves forward gradients
@pytest.mark.parametrize(
    "transformed",
    [
        traced,
        pytest.param(of_fake_tensors, marks=pytest.mark.slow),
        of_forward_gradients,
        lambda layer, x: make_fx(layer)(torch.zeros_like(x))(x),
        lambda layer, x: torch.func.jvp(layer, (x,), (2 * x,))[1],
        lambda layer, x: torch.func.grad(lambda maps: layer(maps).square().sum())(x),
        lambda layer, x: torch.vmap(layer)(torch.stack([x, 2 * x])),
    ],
)
def test_what_torch_transforms_is_torchs(calls, transformed):
    """Of tiles, it would see an empty tensor."""
    x, kernel, bias = drawn(1, 8, 30, 30), drawn(8, 8, 3, 3), drawn(8)
    found = transformed(lambda maps: convolve(maps, kernel, bias, learning=True), x)
    wanted = transformed(lambda maps: directly(maps, kernel, bias), x)
    assert torch.equal(found, wanted) if isinstance(found, torch.Tensor) else found == wanted
    assert not calls


@pytest.mark.parametrize("bias", [False, True])
def test_autograd_goes_back_in_tiles(calls, bias):
    tensors = [drawn(1, 16, 30, 30), drawn(24, 16, 3, 3), *([drawn(24)] if bias else [])]
    leaves = [one.requires_grad_() for one in tensors]
    slopes = drawn(1, 24, 30, 30)
    should = torch.autograd.grad(F.conv2d(*leaves, padding=1), leaves, slopes)
    found = torch.autograd.grad(convolve(*leaves, *([] if bias else [None])), leaves, slopes)
    assert calls == ["convolve", "convolve", "kernel_slopes"]
    assert all(map(close, found, should))


def penalties(layer, *, of_kernel: bool) -> list[torch.Tensor]:
    """Gradients of the squared gradients of maps, and of the kernel where asked, in the layer's own precision."""
    dtype = torch.float64 if layer is directly else torch.float32
    x, kernel, bias = (drawn(*shape).to(dtype).requires_grad_() for shape in ((2, 8, 20, 20), (16, 8, 3, 3), (16,)))
    asked = (x, kernel, bias) if of_kernel else (x,)
    found = torch.autograd.grad(F.softplus(layer(x, kernel * 1, bias)).sum(), asked, create_graph=True)
    return list(torch.autograd.grad(sum(one.square().sum() for one in found), (x, kernel, bias)))


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("of_kernel", [False, True])
def test_gradients_have_gradients(monkeypatch, of_kernel, by_channel):
    monkeypatch.setattr(convolution, "kernels_learn_by_channel", lambda maps: by_channel)
    assert all(map(close, penalties(convolve, of_kernel=of_kernel), penalties(directly, of_kernel=of_kernel)))


def test_a_gradient_penalty_computes_no_gradient_that_it_does_not_ask_for(calls, monkeypatch):
    """As that of a discriminator (R1), whose kernels need gradients, but not yet."""
    monkeypatch.setattr(convolution, "_torch_backward", lambda *arguments: pytest.fail("the kernel's gradient"))
    penalties(convolve, of_kernel=False)
    assert calls[:2] == ["convolve", "convolve"]  # forwards, and back to the maps
    assert calls.count("kernel_slopes") == 2  # of both, in the end


@pytest.mark.parametrize(("changed", "raises"), [(0, True), (1, True), (2, False)])  # of no gradient is the bias a part
def test_what_the_way_back_reads_may_not_change_before(changed, raises):
    inputs = [one.requires_grad_() for one in (drawn(1, 8, 30, 30), drawn(8, 8, 3, 3), drawn(8))]
    out = convolve(*inputs)
    with torch.no_grad():
        inputs[changed].add_(1)
    if raises:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()
    else:
        out.sum().backward()


@pytest.mark.parametrize("doubles", [False, True])
@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("side", [3, 17, 28])  # nothing, the kernel's slopes alone, and all in tiles
def test_the_way_back_is_torchs(side, wanted, doubles):
    x, kernel = drawn(1, 16, side, side).requires_grad_(), drawn(24, 16, 3, 3).requires_grad_()
    taps = TAPS if doubles else None
    out = directly(x, kernel, None) if taps is None else convolve(x, kernel, None, taps)
    slopes = drawn(*out.shape)
    should = torch.autograd.grad(out, (x, kernel), slopes)
    found = convolution_backward(slopes, x, kernel, taps, wants_x=wanted[0], wants_kernel=wanted[1])
    for one, other, is_wanted in zip(found, should, wanted, strict=True):
        assert (one is not None) == is_wanted
        assert one is None or close(one, other)
