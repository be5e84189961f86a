"""Distances of distributions from features: FID, KID, IS, precision and recall, if the features are Inception's.

The Frechet distance is ours (`metrics.frechet`): mean and population covariance in float64, as the code of EG3D,
EpiGRAF and 3DGP takes them; torch-fidelity divides by one less, which changes it by at most one part in the number
of pictures. Everything else is torch-fidelity's own, with the settings that those papers share: KID by 100 subsets of
1000 pictures (Binkowski et al. 2018), IS by 10 splits (Salimans et al. 2016), precision and recall by the distance to
the third neighbour (Kynkaanniemi et al. 2019).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.metrics.frechet import feature_statistics, frechet_distance
from gen3d_tools.system_libraries import import_fidelity

KID_SUBSETS, KID_SUBSET = 100, 1000
IS_SPLITS = 10
NEIGHBOUR = 3
_SEED = 2020  # of the subsets; torch-fidelity's own


def check_torch_fidelity() -> None:
    """Make sure that torch-fidelity is there.

    Raises:
        MissingDependencyError: It is not; the message names the command.
    """
    _metric("kid")


def frechet_of_features(made: Float[Tensor, "n numbers"], real: Float[Tensor, "m numbers"]) -> float:
    """Frechet distance of two sets of features (Heusel et al. 2017), population covariances.

    Raises:
        InputError: Fewer than two pictures in a set.
    """
    return frechet_distance(feature_statistics([made]), feature_statistics([real]))


def kernel_distance(
    made: Float[Tensor, "n numbers"], real: Float[Tensor, "m numbers"], *, subsets: int = KID_SUBSETS
) -> tuple[float, float]:
    """Unbiased squared MMD with the cubic kernel (x y / numbers + 1)^3: mean and standard deviation over subsets.

    Args:
        made: Features of generated pictures.
        real: Features of real pictures.
        subsets: Draws; each has 1000 pictures of either set, or as many as the smaller set has.

    Raises:
        InputError: A set has fewer than two pictures.
        MissingDependencyError: torch-fidelity is not installed.
    """
    metric = _metric("kid")
    size = min(KID_SUBSET, len(made), len(real))
    if size < 2:
        raise InputError(f"a kernel distance needs at least 2 pictures in each set, got {len(made)} and {len(real)}")
    settings = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": _SEED, "verbose": False}
    found = metric.kid_features_to_metric(made, real, **settings)
    return found[metric.KEY_METRIC_KID_MEAN], found[metric.KEY_METRIC_KID_STD]


def inception_score(logits: Float[Tensor, "n classes"]) -> tuple[float, float]:
    """Exponential of the mean KL divergence of a picture's classes from those of its split; mean and deviation of 10.

    Raises:
        InputError: Fewer pictures than splits.
        MissingDependencyError: torch-fidelity is not installed.
    """
    metric = _metric("isc")
    if len(logits) < IS_SPLITS:
        raise InputError(f"the Inception score needs at least {IS_SPLITS} pictures, one per split, got {len(logits)}")
    found = metric.isc_features_to_metric(logits, IS_SPLITS, True, _SEED)
    return found[metric.KEY_METRIC_ISC_MEAN], found[metric.KEY_METRIC_ISC_STD]


def precision_and_recall(made: Float[Tensor, "n numbers"], real: Float[Tensor, "m numbers"]) -> tuple[float, float]:
    """Share of made pictures within the real ones' third-neighbour balls, and share of real ones within the made ones'.

    Raises:
        InputError: A set has no third neighbour.
        MissingDependencyError: torch-fidelity is not installed.
    """
    metric = _metric("prc")
    if min(len(made), len(real)) <= NEIGHBOUR:
        raise InputError(f"precision needs {NEIGHBOUR + 1} pictures in each set, got {len(made)} and {len(real)}")
    settings = {"prc_neighborhood": NEIGHBOUR, "save_cpu_ram": True, "verbose": False}
    found = metric.prc_features_to_metric(made, real, **settings)
    return found[metric.KEY_METRIC_PRECISION], found[metric.KEY_METRIC_RECALL]


def nearest_distances(
    made: Float[Tensor, "n numbers"], real: Float[Tensor, "m numbers"], *, batch: int = 1024
) -> Float[np.ndarray, " n"]:
    """Distance of each made picture to the nearest real one: small for those that could be real, large for failures."""
    return torch.cat([torch.cdist(part, real).amin(1) for part in torch.split(made, batch)]).numpy()


def _metric(name: str) -> Any:
    """One of torch-fidelity's modules."""
    return import_fidelity(f"metric_{name}")


def few_for(numbers: int, counts: Sequence[int]) -> str:
    """Say that a Frechet distance is biased, if it is: a covariance has less than full rank; "" otherwise."""
    fewest = min(counts)
    if fewest > numbers:
        return ""
    return (
        f"{fewest:,} pictures are fewer than the {numbers:,} features they are compared by: the distance is biased "
        "upwards; compare it only with others of the same numbers of pictures"
    )
