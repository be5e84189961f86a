"""Compressed differences of weights: exact to half a level, small, and never believed unchecked."""

import pytest
import torch

from gen3d_tools.checkpoints.weight_delta import Difference, add_difference, encode_difference
from gen3d_tools.errors import CheckpointError


@pytest.fixture
def tensors():
    random = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=random) for name, shape in SHAPES.items()}
    tuned = {name: tensor + 0.01 * torch.randn(tensor.shape, generator=random) for name, tensor in base.items()}
    return base, tuned | {"still": base["still"].clone()}


SHAPES = {"matrix": (128, 320), "kernel": (16, 8, 3, 3), "bias": (40,), "gain": (), "still": (9,)}


def added(base, difference):
    result = {name: tensor.clone() for name, tensor in base.items()}
    add_difference(result, difference, "here")
    return result


@pytest.mark.parametrize("levels", [7, 127])
def test_every_number_comes_back_within_half_a_level_of_its_row(tensors, levels):
    base, tuned = tensors
    result = added(base, encode_difference(base, tuned, levels=levels))
    for name, tensor in tuned.items():
        rows = (tensor - base[name]).reshape(tensor.shape[0] if tensor.ndim > 1 else 1, -1)
        off = (result[name] - tensor).reshape(rows.shape).abs().amax(dim=1)
        assert (off <= 0.5 * rows.abs().amax(dim=1) / levels + 1e-6).all()


def test_a_quarter_of_the_weights_is_enough_and_fewer_levels_need_less(tensors):
    base, tuned = tensors
    full = sum(tensor.numel() * 4 for name, tensor in base.items() if name != "still")
    fine, coarse = (encode_difference(base, tuned, levels=levels).size_bytes for levels in (127, 15))
    assert coarse < 0.72 * fine
    assert fine < 0.25 * full


def test_what_did_not_change_is_not_stored(tensors):
    base, tuned = tensors
    assert "still" not in encode_difference(base, tuned).names
    nothing = encode_difference(base, base)
    assert nothing.names == ()
    torch.testing.assert_close(added(base, nothing), base, rtol=0, atol=0)


def test_a_difference_that_does_not_fit_is_refused(tensors):
    base, tuned = tensors
    good = encode_difference(base, tuned)
    other = {**base, "bias": base["bias"][:-1]}
    for broken, words in [
        (Difference(("lost", *good.names[1:]), good.levels, good.scales), "'lost' is unknown"),
        (Difference((good.names[0],) * 2, good.levels, good.scales), "named twice"),
        (Difference(good.names, good.levels, good.scales[1:]), "scales"),
        (Difference(good.names, good.levels, good.scales * torch.inf), "finite"),
        (Difference(good.names, good.levels[: len(good.levels) // 2], good.scales), "corrupt"),
        (Difference(good.names, good.levels.flip(0), good.scales), "corrupt"),
        (Difference(good.names[:-1], good.levels, good.scales[:-1]), "more than"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            added(base, broken)
    with pytest.raises(CheckpointError, match="corrupt"):
        added(other, good)


def test_a_broken_difference_changes_nothing(tensors):
    base, tuned = tensors
    good = encode_difference(base, tuned)
    result = {name: tensor.clone() for name, tensor in base.items()}
    with pytest.raises(CheckpointError):
        add_difference(result, Difference(good.names, good.levels[:-20], good.scales), "here")
    torch.testing.assert_close(result, base, rtol=0, atol=0)


def test_weights_that_are_not_finite_are_not_stored(tensors):
    base, tuned = tensors
    with pytest.raises(CheckpointError, match="matrix holds NaN"):
        encode_difference(base, tuned | {"matrix": tuned["matrix"] / 0})
