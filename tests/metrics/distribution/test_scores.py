"""Numbers agree with torch-fidelity's on the same features, with closed forms, and order what is better."""

import math

import numpy as np
import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.metrics.distribution.scores import (
    few_for,
    frechet_of_features,
    inception_score,
    kernel_distance,
    nearest_distances,
    precision_and_recall,
)
from gen3d_tools.system_libraries import import_fidelity


def normal(count, numbers=16, *, mean=0.0, scale=1.0, seed=0):
    return mean + scale * torch.randn(count, numbers, generator=torch.Generator().manual_seed(seed))


def test_the_distance_of_gaussians_is_the_closed_form():
    """Of N(0, 1) and N(m, s^2): numbers (m^2 + (1 - s)^2)."""
    first, second = normal(50_000, 4), normal(50_000, 4, mean=0.5, scale=1.5, seed=1)
    assert frechet_of_features(first, second) == pytest.approx(4 * (0.25 + 0.25), rel=0.02)
    assert frechet_of_features(first, first) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_is_that_of_torch_fidelity_but_for_one_in_the_number_of_pictures():
    fid = import_fidelity("metric_fid")
    first, second = normal(3000), normal(3000, mean=0.2, scale=1.2, seed=1)
    statistics = [fid.fid_features_to_statistics(one.double()) for one in (first, second)]
    theirs = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    ours = frechet_of_features(first, second)
    assert ours == pytest.approx(theirs, rel=1e-3)
    for one in statistics:
        one["sigma"] = one["sigma"] * 2999 / 3000  # the population's covariance, as in the code of the papers
    exact = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    assert ours == pytest.approx(exact, rel=1e-9)


def test_the_kernel_distance_is_the_mean_over_pairs_of_the_cubic_kernel():
    first, second = normal(60), normal(60, mean=0.4, seed=1)

    def kernel(x, y):
        return (x.double() @ y.double().T / 16 + 1) ** 3

    apart = ~torch.eye(60, dtype=torch.bool)
    by_hand = kernel(first, first)[apart].mean() + kernel(second, second)[apart].mean()
    by_hand -= 2 * kernel(first, second).mean()
    mean, spread = kernel_distance(first, second)
    assert mean == pytest.approx(float(by_hand), rel=1e-3)
    assert spread == pytest.approx(0, abs=1e-5)  # every subset is all of it


def test_the_inception_score_counts_classes_that_are_sure_and_even():
    sure = 50 * torch.eye(4).repeat(100, 1)
    assert inception_score(sure)[0] == pytest.approx(4, rel=0.03)
    assert inception_score(torch.zeros(400, 4)) == pytest.approx((1, 0), abs=1e-6)


def test_precision_falls_with_failures_and_recall_with_what_is_left_out():
    real = torch.cat([normal(300), normal(300, mean=10, seed=1)])
    half = normal(300, seed=2)
    precision, recall = precision_and_recall(half, real)
    assert precision > 0.7
    assert recall < 0.55
    wide = torch.cat([half, normal(300, mean=10, seed=3), normal(600, mean=40, seed=4)])
    precision, recall = precision_and_recall(wide, real)
    assert precision < 0.55
    assert recall > 0.7


def test_nearest_distances_do_not_depend_on_the_batch():
    made, real = normal(50), normal(70, seed=1)
    expected = torch.cdist(made, real).amin(1).numpy()
    np.testing.assert_allclose(nearest_distances(made, real, batch=7), expected, rtol=1e-5)


@pytest.mark.parametrize("measure", [kernel_distance, precision_and_recall, frechet_of_features])
def test_a_single_picture_is_no_distribution(measure):
    with pytest.raises(InputError, match=r"at least 2|4 pictures"):
        measure(normal(1), normal(1))


def test_fewer_pictures_than_features_are_said():
    assert few_for(2048, [50_000, 70_000]) == ""
    assert "500 pictures are fewer than the 2,048 features" in few_for(2048, [500, 70_000])
    assert "biased" in few_for(2048, [2048, 70_000])


def test_few_pictures_for_splits_are_an_error():
    with pytest.raises(InputError, match="at least 10"):
        inception_score(torch.zeros(9, 3))


def test_distances_are_finite_where_covariances_are_not_full():
    assert math.isfinite(frechet_of_features(normal(5), normal(7, seed=1)))
