"""Directions: what they are in closed form, and that every family says which weights read w."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.editing.finding import direction_between, find_directions
from gen3d_tools.editing.spread import deviations, sample_w
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.rendering.renderer import render
from tests.generators import small_families
from tests.support import stylenerf_generators
from tests.support.official_models import GOLDEN

FAMILIES = {
    **{name: small_families.FAMILIES[name] for name in ("geometry_aware", "eg3d", "epigraf", "threedgp")},
    "stylenerf": stylenerf_generators.build,
    "volumegan": lambda: load_generator(GOLDEN / "volumegan" / "official_tiny.pth", device="cpu"),
}


@pytest.fixture(scope="module", params=FAMILIES)
def generator(request):
    """A family with more numbers in w than its layers read, so that there are ways to go that change nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        small = FAMILIES[request.param]()
        wide = small if small.config.w_dim > 64 else type(small)(replace(small.config, w_dim=64), small.settings)
        for name, parameter in wide.named_parameters():
            if name.endswith("torgb.weight"):  # those of fresh extra blocks are silent
                torch.nn.init.normal_(parameter)
    return wide.eval().requires_grad_(False)


def ws_of(generator, seed=0):
    return generator.latents([seed], [0] if generator.class_names else None)


def picture(generator, ws):
    [field] = generator.fields(ws)
    return render(field, generator.default_camera(), resolution=8, sampling="reference").rgb


def test_what_reads_each_row_of_ws_is_all_that_reads_it(generator):
    ws, read = ws_of(generator), generator.style_weights()
    assert len(read) == generator.num_ws
    before, silent = picture(generator, ws), 0
    for row, weights in enumerate(read):
        moved = ws.clone()
        if weights:
            stacked = torch.cat(weights).double()
            kernel = torch.linalg.svd(stacked, full_matrices=True).Vh[torch.linalg.matrix_rank(stacked) :]
            silent += len(kernel) > 0
            moved[:, row] += (10 * kernel.sum(0)).float()
        elif row < generator.num_ws - generator.own_rows:
            moved[:, row] += 10.0
        assert torch.allclose(picture(generator, moved), before, atol=2e-3), row
    assert silent > 2


def test_the_first_direction_changes_styles_most_and_the_last_least(generator):
    found = find_directions(generator, "sefa", count=64)
    weights = torch.cat([weight for row in generator.style_weights() for weight in row])
    sizes = torch.stack([(weights @ one.vector).norm() for one in found])
    assert (sizes[:-1] >= sizes[1:] * (1 - 1e-4)).all()
    assert sizes[0] == pytest.approx(float(torch.linalg.matrix_norm(weights, 2)), rel=1e-4)
    vectors = torch.stack([one.vector for one in found])
    assert torch.allclose(vectors @ vectors.T, torch.eye(len(vectors)), atol=1e-4)


def test_an_amount_of_one_is_one_standard_deviation_of_w(generator):
    for method in ("sefa", "pca"):
        one = find_directions(generator, method, count=1)[0]
        ws = ws_of(generator)
        moved = one.apply(ws, 2.0) - ws
        _, centred = sample_w(generator, samples=2000)
        spread = (centred @ one.vector.double()).std()
        assert torch.allclose(moved[0, 0] @ one.vector, 2 * spread.float(), rtol=0.05)


@pytest.fixture(scope="module")
def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return small_families.geometry_aware().eval().requires_grad_(False)


def test_principal_directions_are_those_of_the_spread_of_w_within_classes(tiny):
    found = find_directions(tiny, "pca", count=8)
    spreads = torch.tensor([one.deviation for one in found])
    assert (spreads[:-1] >= spreads[1:]).all()
    _, centred = sample_w(tiny)
    singular = torch.linalg.svdvals(centred)[:8] / len(centred) ** 0.5
    assert torch.allclose(spreads.double(), singular, rtol=1e-4)
    assert torch.allclose(centred[::2].mean(0), torch.zeros(8).double(), atol=1e-9)  # classes take turns


def test_the_spread_of_a_gaussian_along_a_vector_is_known():
    points = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([1.0, 2.0, 3.0])
    along = torch.tensor([[1.0, 0, 0], [0, 0.6, 0.8]])
    assert torch.allclose(deviations(points, along), torch.tensor([1.0, 7.2**0.5]).double(), rtol=0.02)


@pytest.mark.parametrize("method", ["difference", "svm"])
def test_two_groups_that_differ_in_one_direction_give_that_direction(tiny, method, monkeypatch):
    """Latents are made up: the groups lie on two sides of a plane, and differ in nothing else."""
    secret = torch.nn.functional.normalize(torch.arange(1.0, 9.0), dim=0)

    def latents(seeds, classes=None):
        noise = torch.randn(len(seeds), 8, generator=torch.Generator().manual_seed(len(seeds)))
        noise -= noise.mean(0) + (noise - noise.mean(0)) @ secret[:, None] * secret
        side = torch.tensor([1.0 if seed < 100 else -1.0 for seed in seeds])
        return (noise * 0.1 + side[:, None] * secret)[:, None].expand(-1, tiny.num_ws, -1)

    monkeypatch.setattr(tiny, "latents", latents, raising=False)
    [one] = direction_between(tiny, range(20), range(100, 130), name="side", method=method)
    assert float(one.vector @ secret) > 0.99
    assert one.vector.norm() == pytest.approx(1.0)


def test_only_the_chosen_layers_are_read_and_moved(tiny):
    one = find_directions(tiny, layers=[1, 2], count=1)[0]
    ws = ws_of(tiny)
    changed = (one.apply(ws, 1.0) != ws).any(-1)[0]
    assert changed.nonzero()[:, 0].tolist() == [1, 2]
    weights = torch.cat([weight for row in (1, 2) for weight in tiny.style_weights()[row]])
    top = torch.linalg.svd(weights.double()).Vh[0]
    assert abs(float(top @ one.vector.double())) == pytest.approx(1.0, abs=1e-6)


def test_what_cannot_be_meant_is_refused_in_one_line(tiny):
    ws = ws_of(tiny)
    with pytest.raises(InputError, match="this model has layers 0 to"):
        find_directions(tiny, layers=[99])
    with pytest.raises(InputError, match="count is 0"):
        find_directions(tiny, count=0)
    with pytest.raises(InputError, match="seed 2 is in both groups"):
        direction_between(tiny, [1, 2], [2, 3], name="x")
    with pytest.raises(InputError, match="each group needs one"):
        direction_between(tiny, [], [2, 3], name="x")
    assert len(find_directions(tiny, "pca", count=99)) == 8  # w has no more
    one = find_directions(tiny, count=1)[0]
    with pytest.raises(InputError, match=r"must lie in -20\.\.20"):
        one.apply(ws, float("nan"))
    with pytest.raises(InputError, match="it is of another model"):
        one.apply(ws[..., :4], 1.0)


def test_a_family_that_does_not_say_what_reads_w_still_has_principal_directions(tiny, monkeypatch):
    monkeypatch.setattr(type(tiny), "style_weights", lambda self: [[] for _ in range(self.num_ws)])
    with pytest.raises(Gen3DError, match="try method pca"):
        find_directions(tiny)
    assert len(find_directions(tiny, "pca", count=3)) == 3
