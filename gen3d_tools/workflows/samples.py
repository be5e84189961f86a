"""Which samples a command is about: seeds and classes as typed, every class with every seed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import parse_classes, parse_seeds

MAX_PSI = 4.0
ALL_CLASSES = "all"


@dataclass(frozen=True)
class Sample:
    """One seed, and the class it is drawn from (None for an unconditional generator)."""

    seed: int
    class_index: int | None
    class_name: str

    @property
    def stem(self) -> str:
        """Name for files: `mug-0003`, or `seed-0003` without classes."""
        name = re.sub(r"[^\w.-]+", "_", self.class_name) or "seed"
        return f"{name}-{self.seed:04d}"

    @property
    def label(self) -> str:
        """Name for people: `mug 3`, or `seed 3`."""
        return f"{self.class_name or 'seed'} {self.seed}"


def choose_samples(generator: Generator, seeds: str, classes: str | None) -> list[Sample]:
    """Combine what was typed: all classes times all seeds, class by class.

    Args:
        generator: Knows its classes.
        seeds: "0,2,5-9".
        classes: Names or indices, "mug,3,5-7", or "all". None lets each seed draw its own class.

    Raises:
        InputError: A seed or class cannot be read.
    """
    numbers = parse_seeds(seeds)
    names = generator.class_names
    if classes is None:
        drawn = generator.class_indices(numbers)
        if not drawn:
            return [Sample(seed, None, "") for seed in numbers]
        return [Sample(seed, index, _own_name(index, names)) for seed, index in zip(numbers, drawn, strict=True)]
    if classes.strip().lower() == ALL_CLASSES and names and ALL_CLASSES not in names:
        chosen = list(range(len(names)))
    else:
        chosen = parse_classes(classes, names)
    return [Sample(seed, index, _own_name(index, names)) for index in chosen for seed in numbers]


def _own_name(index: int, names: Sequence[str]) -> str:
    """Name a class so that no other is called the same; ImageNet has two cranes."""
    return names[index] if names.count(names[index]) == 1 else f"{names[index]} {index}"


def check_psi(psi: float) -> float:
    """Refuse a truncation that only gives noise.

    Raises:
        InputError: Not within -4..4.
    """
    if not -MAX_PSI <= psi <= MAX_PSI:
        raise InputError(f"psi is {psi:g}; it must lie in -{MAX_PSI:g}..{MAX_PSI:g} (1 = as trained, 0 = the mean)")
    return psi


def make_ws(generator: Generator, samples: Sequence[Sample], psi: float = 1.0) -> Float[Tensor, "samples num_ws w_dim"]:
    """Compute the latents of every sample."""
    classes = None if samples[0].class_index is None else [sample.class_index or 0 for sample in samples]
    return generator.latents([sample.seed for sample in samples], classes, truncation_psi=check_psi(psi))


def make_fields(generator: Generator, samples: Sequence[Sample], psi: float = 1.0) -> list[TriplaneField]:
    """Compute the field of every sample."""
    return generator.fields(make_ws(generator, samples, psi))
