from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gen3d_tools.fields.field import chunked
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField, sample_planes

GOLDEN = Path(__file__).parents[1] / "golden" / "eg3d" / "ops.safetensors"


def identity_decoder(features):
    return features[..., 1:], features[..., 0]


def make_field(**changes):
    planes = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    field = TriplaneField(
        planes=planes,
        decoder=identity_decoder,
        render_config=RenderConfig(near=1.0, far=3.0),
        box_side=2.0,
        plane_axes="xy-xz-yz",
        align_corners=True,
    )
    return replace(field, **changes)


@pytest.fixture
def points():
    return torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("plane_axes", "expected"), [("xy-xz-zx", "features"), ("xy-xz-zy", "features_fixed_axes")])
def test_lookup_is_that_of_the_published_code(plane_axes, expected):
    golden = load_file(GOLDEN)
    features = sample_planes(
        golden["in.planes.planes"], golden["in.planes.points"], plane_axes=plane_axes, box_side=1.5, align_corners=False
    )
    torch.testing.assert_close(features, golden[f"out.planes.{expected}"], atol=1e-6, rtol=0)


def test_a_plane_of_coordinates_gives_the_points_back(points):
    # texel (row, column) holds its own (u, v); with aligned corners the lookup is exact between texels too
    ramp = torch.linspace(-1, 1, 8)
    plane = torch.stack([ramp.expand(8, 8), ramp[:, None].expand(8, 8)])
    found = sample_planes(
        plane.expand(1, 3, 2, 8, 8), points[None] * 1.5, plane_axes="xy-xz-yz", box_side=3.0, align_corners=True
    )
    expected = torch.stack([points[:, [0, 1]], points[:, [0, 2]], points[:, [1, 2]]])
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)


def test_box_ends_at_the_texels_outer_edge_when_corners_are_not_aligned():
    planes = torch.ones(1, 3, 1, 4, 4)
    at_the_face = torch.tensor([[[1.0, 0.0, 0.0]]])
    options = {"plane_axes": "xy-xz-yz", "box_side": 2.0}
    assert sample_planes(planes, at_the_face, align_corners=False, **options).flatten().tolist() == [0.5, 0.5, 1.0]
    assert sample_planes(planes, at_the_face, align_corners=True, **options).flatten().tolist() == [1.0, 1.0, 1.0]


def test_three_planes_are_averaged_or_summed(points):
    mean, _ = make_field()(points)
    total, _ = make_field(combine="sum")(points)
    torch.testing.assert_close(total, mean * 3)


def test_leading_axes_of_the_points_are_kept(points):
    values, raw = make_field()(points.reshape(5, 10, 3))
    flat_values, flat_raw = make_field()(points)
    assert values.shape == (5, 10, 3)
    assert raw.shape == (5, 10)
    torch.testing.assert_close(values.reshape(50, 3), flat_values)
    torch.testing.assert_close(raw.reshape(50), flat_raw)


def test_outside_empty_stops_the_density_at_the_box_and_leaves_the_colour():
    beyond = torch.tensor([[1.01, 0.0, 0.0], [0.0, -5.0, 0.0], [0.99, 0.99, -0.99]])
    decoded, empty = make_field(), make_field(outside="empty")
    assert (decoded.bounded, empty.bounded) == (False, True)
    assert empty.density(beyond)[:2].tolist() == [0.0, 0.0]
    assert empty.density(beyond)[2] == decoded.density(beyond)[2]
    assert (decoded.density(beyond) > 0).all()
    assert torch.equal(empty(beyond)[0], decoded(beyond)[0])


@pytest.mark.parametrize("outside", ["decode", "empty"])
def test_gradients_reach_planes_and_decoder(points, outside):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, features):
            return identity_decoder(self.layer(features))

    field = make_field(planes=torch.randn(3, 4, 8, 8, requires_grad=True), decoder=Decoder(), outside=outside)
    values, raw = field(points * 1.1)
    (values.sum() + field.activate(raw).sum()).backward()
    for gradient in (field.planes.grad, field.decoder.layer.weight.grad):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


def test_a_moved_field_leaves_the_original_decoder_where_it_was():
    decoder = nn.Linear(4, 4)
    moved = make_field(decoder=decoder).to("meta")
    assert moved.device == torch.device("meta")
    assert decoder.weight.device == torch.device("cpu")
    assert moved.decoder.weight.device == torch.device("meta")


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_chunks_do_not_change_the_answer(points, chunk):
    field = make_field()
    torch.testing.assert_close(chunked(field.density, points, chunk), field.density(points))


@pytest.mark.parametrize("outside", ["decode", "empty"])
@pytest.mark.parametrize("combine", ["mean", "sum"])
def test_several_fields_at_once_have_the_raw_densities_of_each(points, outside, combine):
    planes = torch.randn(4, 3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    fields = [make_field(planes=one, outside=outside, combine=combine, density_shift=-1.0) for one in planes]
    at = torch.stack([points * scale for scale in (0.3, 0.8, 1.0, 1.4)])
    together = TriplaneField.raw_densities(fields, at)
    torch.testing.assert_close(
        together, torch.stack([field.raw_density(one) for field, one in zip(fields, at, strict=True)])
    )


def test_several_fields_whose_decoder_reads_points(points):
    def decoder(features, where, towards):
        assert not towards.any()
        return features, features[..., 0] + where.sum(-1)

    planes = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    fields = [make_field(planes=one, decoder=decoder, decoder_reads="points") for one in planes]
    together = TriplaneField.raw_densities(fields, points.expand(2, -1, -1))
    torch.testing.assert_close(together, torch.stack([field.raw_density(points) for field in fields]))
