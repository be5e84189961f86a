"""FD-encoder: Frechet distance of pictures on the features of the bundled encoder.

The formula is that of FID (Heusel et al. 2017), the network is not: numbers do not compare with published ones, only
with each other, on the same number of pictures.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError

NAME = "FD-encoder"


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of features."""

    mean: Float[np.ndarray, " numbers"]
    covariance: Float[np.ndarray, "numbers numbers"]
    count: int


def feature_statistics(features: Iterable[Float[Tensor, "_ _"]]) -> FeatureStatistics:
    """Mean and covariance of features, given batch by batch: for FD-encoder the embeddings of pictures.

    Raises:
        InputError: Fewer than two pictures.
    """
    parts = [batch.detach().double().cpu().numpy() for batch in features]
    rows = np.concatenate(parts) if parts else np.empty((0, 0))
    if len(rows) < 2:
        raise InputError(f"a distance of distributions needs at least 2 pictures, got {len(rows)}")
    return FeatureStatistics(rows.mean(0), np.cov(rows, rowvar=False, bias=True).reshape(2 * rows.shape[1:]), len(rows))


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Squared distance of the means plus tr(A + B - 2 (A B)^(1/2)) (Dowson and Landau 1982).

    The trace of the root is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    between = np.linalg.eigvalsh(root @ second.covariance @ root)
    trace = np.trace(first.covariance) + np.trace(second.covariance) - 2 * np.sqrt(between.clip(0)).sum()
    return float(np.square(first.mean - second.mean).sum() + max(trace, 0.0))
