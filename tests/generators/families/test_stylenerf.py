"""StyleNeRF from latents to pictures: what its parts promise, whatever the weights."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.distributions.stylenerf import stylenerf_camera
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.mlp import FrequencyEncoding
from gen3d_tools.generators.families.stylenerf import frozen_background
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.networks.stylenerf.enlarging import UPSAMPLE_MODES
from gen3d_tools.rendering.renderer import normals, render
from tests.support.stylenerf_generators import build

CAMERA = stylenerf_camera(0.2, 1.45)
VARIANTS = {
    "published": {},
    "classes": {"num_classes": 3},
    "styled background": {"background_latent": 0},
    "free foreground": {"foreground_latent": 7, "foreground_reads_input_again": True},
    "normalised free fields": {
        "foreground_latent": 7,
        "foreground_reads_input_again": True,
        "foreground_normalised": True,
        "background_normalised": True,
    },
    "foreground alone": {"background": False, "every_kth_ray": True},
    "planes": {
        "background": False,
        "plane_channels": 4,
        "plane_resolution": 16,
        "foreground_octaves": 0,
        "rgb_beside_features": True,
        "kernel_size": 3,
        "upsample_mode": "default",
    },
    "half grown": {"growth": 0.7},
    "noisy": {"use_noise": True, "upsample_mode": "pixelshuffle", "image_skip": False, "shared_rgb_row": True},
}


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def generator(request):
    return build(**VARIANTS[request.param])


@pytest.fixture(scope="module")
def published():
    return build()


def test_a_seed_gives_the_same_picture_in_every_batch_and_order(generator):
    several = generator.fields(generator.latents([3, 1, 2], truncation_psi=0.7))
    [alone] = generator.fields(generator.latents([1], truncation_psi=0.7))
    first, second = (render(field, CAMERA) for field in (several[1], alone))
    assert torch.equal(first.rgb, second.rgb)
    assert torch.equal(first.depth, second.depth)
    assert first.rgb.std() > 0.01


def test_pictures_are_finite_at_extremes(generator):
    [field] = generator.fields(generator.latents([0], truncation_psi=4.0) * 100)
    frames = render(field, stylenerf_camera([0.0, 3.0, 0.5], [1.5, 0.1, 3.0]))
    assert torch.isfinite(frames.rgb).all()
    assert torch.isfinite(frames.depth).all()
    far = torch.tensor([[1e3, -1e3, 1e3], [0.0, 0.0, 0.0]])
    assert all(torch.isfinite(answer).all() for answer in field(far))


def test_a_native_checkpoint_gives_the_same_pictures(generator, tmp_path):
    generator.save(tmp_path / "model")
    again = load_generator(tmp_path / "model", device="cpu")
    pictures = [render(one.fields(one.latents([4]))[0], CAMERA).rgb for one in (generator, again)]
    assert torch.equal(*pictures)
    assert again.config == generator.config


def test_gradients_reach_every_latent_and_the_weights(generator):
    ws = generator.latents([0]).requires_grad_()
    generator.requires_grad_(True)
    try:
        [field] = generator.fields(ws)
        points = (torch.rand(64, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.2
        values, raw = field(points)
        total = values.square().sum() + raw.sum()
        if field.super_resolution is not None:
            side = field.super_resolution.render_resolution
            total = total + field.super_resolution(torch.rand(values.shape[-1], side, side))[0].square().sum()
        if field.backdrop is not None:
            answers = field.backdrop.network(torch.cat([points, points[:, :1]], -1))
            total = total + sum(answer.square().sum() for answer in answers)
        total.backward()
        used = ws.grad[0].abs().amax(-1) > 0
        assert used.all(), used
        assert generator.foreground.fc_in.weight.grad.abs().sum() > 0
        assert generator.mapping.fc0.weight.grad is None  # the latents were given
    finally:
        generator.requires_grad_(False)
        generator.zero_grad()


def test_a_free_layer_divides_its_input_by_the_magnitude_it_had_in_training():
    generator = build(background_layers=3, background_normalised=True)
    network = generator.background
    assert [hasattr(layer, "w_avg") for layer in (network.fc_in, *network.blocks, network.sigma_out)] == [
        *(False, True, True),
        False,
    ]
    network.blocks[1].w_avg.fill_(4.0)
    [field] = generator.fields(generator.latents([0]))
    layers = field.backdrop.network.hidden
    assert torch.equal(layers[1].weight, network.blocks[0].weight)
    assert torch.equal(layers[2].weight, network.blocks[1].weight / 2)
    assert torch.equal(layers[2].bias, network.blocks[1].bias)


def test_depth_and_normals_come_from_the_field(published):
    [field] = published.fields(published.latents([0]))
    density = field.network.density
    denser = replace(density, weight=density.weight * 10, bias=density.bias + 30)
    field = replace(field, network=replace(field.network, density=denser))
    frames = render(field, CAMERA, super_resolution=False, resolution=24)
    assert frames.rgb.shape[-1] == 24
    solid = frames.opacity[0] > 0.6
    assert solid.any()
    found = normals(field, CAMERA, frames)
    assert found[:, solid].norm(dim=0) == pytest.approx(torch.ones(int(solid.sum())), abs=1e-4)
    assert (frames.depth[0][solid] > 0.8).all()
    assert (frames.depth[0][solid] < 1.2).all()


def test_the_background_latent_of_a_seed_is_that_of_the_published_code(published):
    ws = published.latents([9])
    random = torch.Generator().manual_seed(9)
    drawn = [torch.randn(1, 5, generator=random) for _ in range(2)][1][0] * 0.65
    assert torch.equal(ws[0, -1, :5], drawn)
    assert (ws[0, -1, 5:] == 0).all()
    assert torch.equal(ws[:, :-1], published.map(latent_z([9], 8))[:, :-1])


def test_the_background_does_not_depend_on_the_styles(published):
    ws = published.latents([0, 1])
    ws[1, -1] = ws[0, -1]
    towards = torch.nn.functional.normalize(torch.randn(10, 3), dim=-1)
    seen = [field.backdrop(towards * 0.3, towards, None).values for field in published.fields(ws)]
    assert torch.equal(*seen)


def test_a_frozen_background_stays_where_it_is(published):
    [field] = published.fields(published.latents([0]))
    empty = replace(field, network=replace(field.network, density=_nothing(field.network.density)))
    frozen = frozen_background(empty, stylenerf_camera(0.0, 1.77))
    here, there = (render(frozen, stylenerf_camera(u, 1.5), exact=True).rgb for u in (0.0, 0.3))
    assert torch.allclose(here, there, atol=1e-5)
    moving = [render(empty, stylenerf_camera(u, 1.5), exact=True).rgb for u in (0.0, 0.3)]
    assert not torch.allclose(*moving, atol=1e-3)


def _nothing(density):
    return replace(density, weight=density.weight * 0, bias=density.bias * 0 - 1)


def test_free_latents_fold_into_the_bias():
    generator = build(foreground_latent=7, foreground_reads_input_again=True)
    network = generator.foreground
    latent = torch.randn(7, generator=torch.Generator().manual_seed(1))
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(2))
    encoding = FrequencyEncoding((0, 1, 2), 3)
    _, raw = network.fold(encoding, torch.zeros(0, 12), latent)(points)
    encoded = torch.cat([encoding(points), latent.expand(20, -1)], -1)
    h = torch.relu(encoded @ network.fc_in.weight.T + network.fc_in.bias)
    for index, layer in enumerate(network.blocks):
        h = torch.cat([h, encoded], -1) if index + 1 == network.shape.skip else h
        h = torch.relu(h @ layer.weight.T + layer.bias)
    expected = h @ network.sigma_out.weight[0] + network.sigma_out.bias
    assert torch.allclose(raw, expected, atol=1e-4)


def test_a_seeds_mean_background_is_a_latent_of_zeros(published):
    ws = published.same_ws(published.mapping.w_avg)
    assert ws.shape == (1, published.num_ws, 12)
    assert (ws[0, -1] == 0).all()
    assert published.own_rows == 1


@pytest.mark.parametrize("mode", UPSAMPLE_MODES)
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_every_way_of_enlarging_doubles_and_mixes_little(mode, kernel_size):
    generator = build(upsample_mode=mode, kernel_size=kernel_size)
    [field] = generator.fields(generator.latents([0]))
    values = torch.full((9, 4, 4), 0.5)
    picture, raw = field.super_resolution(values)
    assert picture.shape == (3, 16, 16)
    assert torch.equal(raw, values[:3])
    assert torch.isfinite(picture).all()


def test_point_colors_need_layers_that_see_no_neighbours(published):
    assert published.fields(published.latents([0]))[0].point_colors is not None
    [field] = build(kernel_size=3).fields(build(kernel_size=3).latents([0]))
    assert field.point_colors is None
    with pytest.raises(ValueError, match="neighbouring rays"):
        field.with_point_colors()


def test_a_field_of_point_colors_has_the_same_geometry(published):
    [field] = published.fields(published.latents([0]))
    colored = field.with_point_colors()
    first, second = (render(one, CAMERA, super_resolution=False, resolution=6, exact=True) for one in (field, colored))
    assert torch.allclose(first.depth, second.depth, atol=1e-6)
    assert not torch.allclose(first.rgb, second.rgb, atol=1e-3)


def test_growth_says_how_many_blocks_are_in_use():
    sizes = {growth: build(growth=growth).image_resolution for growth in (0.0, 0.3, 0.5, 0.8, 1.0)}
    assert sizes == {0.0: None, 0.3: 8, 0.5: 16, 0.8: 16, 1.0: 16}


@pytest.mark.slow
def test_fields_move_to_another_device(published):
    [field] = published.fields(published.latents([0]))
    frozen = frozen_background(field, stylenerf_camera(0.0, 1.77))
    for one in (field, frozen, field.with_point_colors()):
        moved = one.to("cpu")
        assert torch.equal(render(moved, CAMERA).rgb, render(one, CAMERA).rgb)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"growth": 1.5}, "growth"),
        ({"render_resolution": 3, "start_resolution": 3}, "powers of two"),
        ({"start_resolution": 8}, "ascend"),
        ({"box_side": 0.0}, "box_side"),
        ({"foreground_layers": 0}, "at least one layer"),
        ({"foreground_octaves": 30}, "octaves"),
        ({"background_start": 2.0}, "background"),
        ({"channel_base": 4}, "channel"),
        ({"plane_channels": 4}, "planes"),
    ],
)
def test_sizes_that_make_no_network_are_refused(change, reason):
    with pytest.raises((CheckpointError, ValueError), match=reason):
        build(**change)


def test_a_class_is_demanded_and_refused(published):
    with pytest.raises(InputError, match="no classes"):
        published.map(torch.zeros(1, 8), torch.eye(3)[:1])
    with pytest.raises(InputError, match="3 classes"):
        build(num_classes=3).map(torch.zeros(1, 8))
