from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.fields.compiled import triplane_numbers
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.kernels.network.numbers import LRELU_SLOPE, DecoderNumbers, fits_fast_kernels, fold
from tests.kernels.conftest import KINDS, make_field


def evaluate(decoder: DecoderNumbers, hidden: torch.Tensor) -> torch.Tensor:
    """All layers after the first, on its values before the activation."""
    for weight, bias in zip(decoder.weights[1:], decoder.biases[1:], strict=True):
        active = F.softplus(hidden) if decoder.activation == "softplus" else F.leaky_relu(hidden, LRELU_SLOPE)
        hidden = active @ torch.from_numpy(weight).T + torch.from_numpy(bias)
    return hidden[:, decoder.density_row] * decoder.density_gain


def points_everywhere(box_side: float) -> torch.Tensor:
    """Inside, on the faces of the box, in the outer half texel, and beyond."""
    generator = torch.Generator().manual_seed(1)
    points = (torch.rand(500, 3, generator=generator) - 0.5) * box_side * 1.2
    points[:20, 0], points[20:40, 2] = box_side / 2, -box_side / 2
    points[40:60, 1] = box_side * 0.49
    return points


def test_folded_planes_give_the_raw_density_of_the_field(kind):
    field = make_field(kind)
    numbers = triplane_numbers(field)
    points = points_everywhere(field.box_side)
    unit = points * (2 / field.box_side)
    hidden = torch.from_numpy(numbers.decoder.biases[0])[None]
    for plane, axes in zip(fold(numbers), numbers.axes, strict=True):
        image, grid = torch.from_numpy(plane).permute(2, 0, 1)[None], unit[:, axes][None, None]
        looked_up = F.grid_sample(image, grid, padding_mode="zeros", align_corners=numbers.align_corners)
        hidden = hidden + looked_up[0, :, 0].T
    ours = evaluate(numbers.decoder, hidden)
    with torch.no_grad():
        assert ours.numpy() == pytest.approx(replace(field, outside="decode").raw_density(points).numpy(), abs=2e-4)


def test_only_the_released_axes_of_eg3d_repeat_a_plane():
    counts = {name: len(triplane_numbers(make_field(kind)).axes) for name, kind in KINDS.items()}
    assert counts == {"eg3d": 2, "eg3d-repaired": 3, "3dgp": 3, "sum": 3, "shapes": 3, "deep": 3, "narrow": 2}


def test_density_layer_holds_the_gain():
    decoder = triplane_numbers(make_field(KINDS["shapes"])).decoder
    weight, bias = decoder.density_layer
    assert weight == pytest.approx(3 * decoder.weights[-1][0])
    assert bias == pytest.approx(3 * float(decoder.biases[-1][0]))


def test_fields_that_cannot_be_described_are_left_to_the_plain_path():
    field = make_field(KINDS["eg3d"])
    assert triplane_numbers(replace(field, decoder=lambda features: (features[:, :3], features[:, 0]))) is None
    assert triplane_numbers(replace(field, planes=torch.zeros(3, 8, 4, 5))) is None
    assert triplane_numbers(FunctionField(raw_density_fn=lambda points: points[..., 0])) is None


def test_numbers_that_are_not_finite_do_not_fit():
    numbers = triplane_numbers(make_field(KINDS["eg3d"]))
    assert fits_fast_kernels(numbers)
    broken = numbers.texels.copy()
    broken[1, 2, 3, 4] = np.nan
    assert not fits_fast_kernels(replace(numbers, texels=broken))


def test_a_density_row_beyond_the_outputs_is_refused():
    decoder = triplane_numbers(make_field(KINDS["eg3d"])).decoder
    with pytest.raises(ValueError, match="density_row is 4, there are 4 outputs"):
        replace(decoder, density_row=4)
