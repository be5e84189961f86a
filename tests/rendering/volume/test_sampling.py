import pytest
import torch

from gen3d_tools.rendering.volume.sampling import (
    box_limits,
    coarse_shares,
    importance_samples,
    inverse_cdf_samples,
    place_in_intervals,
    place_on_rays,
    repaired_limits,
    smoothed_weights,
    tight_limits,
)


def rays(*pairs):
    origins, directions = zip(*pairs, strict=True)
    return torch.tensor(origins).float(), torch.nn.functional.normalize(torch.tensor(directions).float(), dim=-1)


AHEAD = ((0, 0, 3), (0, 0, -1))
INSIDE = ((0, 0, 0), (0, 0, -1))
BESIDE = ((5, 0, 3), (0, 0, -1))
BEHIND = ((0, 0, 3), (0, 0, 1))


def test_box_limits_are_where_the_ray_crosses_the_faces():
    near, far = box_limits(*rays(AHEAD, INSIDE, BESIDE, BEHIND), 2.0)
    assert near.tolist() == [2.0, -1.0, -1.0, -4.0]
    assert far.tolist() == [4.0, 1.0, -2.0, -2.0]


def test_points_at_random_limits_lie_on_the_box():
    generator = torch.Generator().manual_seed(0)
    origins = torch.randn(500, 3, generator=generator) * 2
    directions = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=-1)
    near, far = box_limits(origins, directions, 2.0)
    hit = far > near
    assert 50 < hit.sum() < 450
    for distance in (near[hit], far[hit]):
        reach = (origins[hit] + distance[:, None] * directions[hit]).abs().amax(-1)
        torch.testing.assert_close(reach, torch.ones_like(reach), atol=1e-5, rtol=0)
    steps = torch.linspace(-10, 10, 400)
    points = origins[~hit, None] + steps[:, None] * directions[~hit, None]
    assert (points.abs().amax(-1) > 1 - 1e-2).all()


@pytest.mark.parametrize(("rule", "far_of_missed"), [("largest-near", 2.5), ("largest-far", 4.0)])
def test_missed_rays_get_the_limits_of_the_others(rule, far_of_missed):
    near, far = repaired_limits(torch.tensor([2.0, 2.5, -1.0]), torch.tensor([4.0, 3.5, -2.0]), rule)
    assert near.tolist() == [2.0, 2.5, 2.0]
    assert far.tolist() == [4.0, 3.5, far_of_missed]


def test_limits_stay_when_every_ray_misses():
    near, far = repaired_limits(torch.tensor([-1.0]), torch.tensor([-2.0]), "largest-near")
    assert (near.item(), far.item()) == (-1.0, -2.0)


def test_a_ray_in_a_face_plane_is_repaired_not_spread():
    near, far = box_limits(*rays(((1, 0, 3), (0, 0, -1)), AHEAD), 2.0)
    assert near[0].isnan() or far[0].isnan()
    near, far = repaired_limits(near, far, "largest-near")
    assert near.isfinite().all()
    assert far.isfinite().all()


def test_tight_limits_cut_to_box_camera_and_range():
    near, far, hit = tight_limits(*rays(AHEAD, INSIDE, BESIDE, BEHIND), 2.0)
    assert hit.tolist() == [True, True, False, False]
    assert (near[:2].tolist(), far[:2].tolist()) == ([2.0, 0.0], [4.0, 1.0])
    near, far, hit = tight_limits(*rays(AHEAD, INSIDE), 2.0, 2.5, 3.5)
    assert hit.tolist() == [True, False]
    assert (near[0].item(), far[0].item()) == (2.5, 3.5)


def test_outward_jitter_starts_at_the_grid_and_may_pass_the_end():
    assert coarse_shares("outward", torch.zeros(1, 3)).tolist() == [[0.0, 0.5, 1.0]]
    assert coarse_shares("outward", torch.full((1, 3), 0.5)).tolist() == [[0.25, 0.75, 1.25]]


def test_interval_jitter_tiles_the_ray():
    lower, upper = (coarse_shares("intervals", torch.full((1, 5), share)) for share in (0.0, 1.0))
    assert lower[0, 0] == 0
    assert upper[0, -1] == 1
    torch.testing.assert_close(upper[:, :-1], lower[:, 1:])


def test_linear_and_disparity_spacing_agree_at_the_ends_only():
    shares, near, far = torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([1.0]), torch.tensor([3.0])
    assert place_on_rays(shares, near, far, "linear").tolist() == [[1.0, 2.0, 3.0]]
    torch.testing.assert_close(place_on_rays(shares, near, far, "disparity"), torch.tensor([[1.0, 1.5, 3.0]]))


def test_smoothing_spreads_a_spike_to_its_neighbours():
    smoothed = smoothed_weights(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]))
    torch.testing.assert_close(smoothed, torch.tensor([[0.01, 0.51, 1.01, 0.51, 0.01]]))


def test_even_weights_give_even_samples():
    positions = (torch.arange(6) + 0.5)[None] / 6
    found = inverse_cdf_samples(torch.linspace(1, 4, 5)[None], torch.ones(1, 4), positions)
    torch.testing.assert_close(found, 1 + 3 * positions)


def test_samples_follow_the_weights():
    positions = (torch.arange(1000) + 0.5)[None] / 1000
    found = inverse_cdf_samples(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([[1.0, 0.0, 3.0]]), positions)
    assert (found < 1).float().mean().item() == pytest.approx(0.25, abs=0.002)
    assert (found > 2).float().mean().item() == pytest.approx(0.75, abs=0.002)


@pytest.mark.parametrize("importance", ["smoothed", "plain"])
@pytest.mark.parametrize("intervals", [11, 12])
@pytest.mark.parametrize("kind", ["zero", "spike", "random"])
def test_fine_samples_are_sorted_and_inside_whatever_the_weights(importance, intervals, kind):
    generator = torch.Generator().manual_seed(0)
    distances = torch.rand(20, 12, generator=generator).sort(-1).values + 2
    weights = {
        "zero": torch.zeros(20, intervals),
        "spike": torch.nn.functional.one_hot(torch.arange(20) % intervals, intervals).float(),
        "random": torch.rand(20, intervals, generator=generator),
    }[kind]
    found = importance_samples(distances, weights, ((torch.arange(9) + 0.5) / 9).expand(20, 9), importance)
    assert (found.diff(dim=-1) >= -1e-6).all()
    assert (found >= distances[:, :1]).all()
    assert (found <= distances[:, -1:]).all()


def test_fine_samples_crowd_where_the_weight_is():
    distances = torch.linspace(0, 1, 11)[None]
    weights = torch.zeros(1, 11)
    weights[0, 6] = 1.0
    found = importance_samples(distances, weights, (torch.arange(20)[None] + 0.5) / 20, "plain")
    assert ((found > 0.55) & (found < 0.65)).float().mean() > 0.9


def test_samples_laid_out_in_world_units_are_those_laid_out_as_shares():
    offsets = torch.rand(5, 9)
    near, far = torch.rand(5) + 0.5, torch.rand(5) + 2.0
    expected = place_on_rays(coarse_shares("intervals", offsets), near, far, "linear")
    torch.testing.assert_close(place_in_intervals(offsets, near, far), expected)


def test_centered_samples_lie_around_the_grid_and_gridded_ones_on_it():
    grid = torch.linspace(0, 1, 5)
    for offset, shift in ((0.0, -0.125), (0.5, 0.0), (1.0, 0.125)):
        torch.testing.assert_close(coarse_shares("centered", torch.full((1, 5), offset))[0], grid + shift)
        assert torch.equal(coarse_shares("grid", torch.full((1, 5), offset))[0], grid)
