import pytest
import torch

from gen3d_tools.metrics.flatness import depth_histograms, non_flatness


def test_a_wall_scores_one_and_a_slope_scores_the_bins():
    wall = torch.full((1, 1, 16, 16), 0.8)
    slope = torch.linspace(0.75, 1.25, 6400).reshape(1, 1, 80, 80)
    assert non_flatness(depth_histograms(wall, 0.75, 1.25))[0].item() == pytest.approx(1.0, abs=1e-5)
    assert non_flatness(depth_histograms(slope, 0.75, 1.25))[0].item() == pytest.approx(64.0, rel=1e-3)


def test_depths_beyond_the_rays_count_at_the_ends():
    counts = depth_histograms(torch.tensor([[0.0, 0.1, 1.0, 9.0]]), 0.5, 1.5, bins=4)
    assert counts.tolist() == [[2.0, 0.0, 1.0, 1.0]]
