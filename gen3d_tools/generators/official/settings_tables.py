"""What the readers of published networks share: constants to drop, settings to demand, errors in one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.cameras.distributions.priors import Shape, Spread
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.printable import listed, quoted

ANGLE_DISTRIBUTIONS = ("uniform", "normal", "gaussian", "truncated_gaussian", "hybrid", "spherical_uniform")
"""Names by which pi-GAN's descendants (EpiGRAF, VolumeGAN) spread the angles of their cameras."""


def without_filters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the `resample_filter` buffers, which are the same constant everywhere.

    Raises:
        CheckpointError: One of them is another filter, which these networks could not reproduce.
    """
    standard = low_pass_filter(torch.float32, torch.device("cpu"))
    kept = {}
    for name, tensor in tensors.items():
        if name.rpartition(".")[2] != "resample_filter":
            kept[name] = tensor
        elif tensor.shape != standard.shape or not torch.allclose(tensor.float(), standard, atol=1e-6):
            raise CheckpointError(f"{name} is not the filter [1, 3, 3, 1], the only one supported; retrain, or ask")
    return kept


def demand(settings: Any, names: tuple[str, ...], where: str) -> None:
    """Refuse a table that lacks settings, by their names.

    Raises:
        CheckpointError: It is no table, or lacks some.
    """
    if not isinstance(settings, Mapping):
        raise CheckpointError(f"{where} is {type(settings).__name__}, it must be a table of settings")
    missing = [name for name in names if name not in settings]
    if missing:
        raise CheckpointError(f"{where} lacks {', '.join(missing)}; the file is incomplete, or of another kind")


def refuse_others(settings: Any, known: tuple[str, ...], where: str) -> None:
    """Refuse settings that would make another network than the ones built here.

    Raises:
        CheckpointError: One line with their names.
    """
    demand(settings, (), where)
    others = sorted(set(settings) - set(known))
    if others:
        raise CheckpointError(f"{where} holds {listed(others)}, which this family does not know; is it a fork?")


def rows(tensors: Mapping[str, Tensor], name: str, columns: bool = False) -> int:
    """Number of rows (or columns) of a matrix that tells a size.

    Raises:
        CheckpointError: It is not there, or no matrix.
    """
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim < 2:
        raise CheckpointError(f"{name} is missing or no matrix; the file is incomplete, or of another kind")
    return int(tensor.shape[1 if columns else 0])


def number(value: Any, where: str) -> float:
    """Take a plain number.

    Raises:
        CheckpointError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{where} is {quoted(value)}, it must be a number")
    return float(value)


def text(value: Any, where: str) -> str:
    """Take a text.

    Raises:
        CheckpointError: It is something else.
    """
    if not isinstance(value, str):
        raise CheckpointError(f"{where} is {quoted(value)}, it must be a text")
    return value


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn a refused value into a refused checkpoint."""
    try:
        yield
    except InputError as error:
        raise CheckpointError(f"{where}: {error}") from error


def angle_spread(name: str, mean: float, std: float, *, is_pitch: bool) -> Spread:
    """One angle of a distribution of `ANGLE_DISTRIBUTIONS`, radians.

    Args:
        name: Of the distribution.
        mean: Its middle.
        std: Its standard deviation, or half its range.
        is_pitch: Whether it is the angle that "spherical_uniform" bends.
    """
    low, high = mean - std, mean + std
    if name == "spherical_uniform":
        return Spread(shape="uniform_area" if is_pitch else "uniform", center=mean, low=low, high=high)
    if name == "uniform":
        return Spread(shape="uniform", center=mean, low=low, high=high)
    if name in ("normal", "gaussian"):
        return Spread(shape="normal", center=mean, std=std)
    shape: Shape = "truncated_normal" if name == "truncated_gaussian" else "hybrid"
    return Spread(shape=shape, center=mean, std=std, low=mean - 2 * std, high=mean + 2 * std)
