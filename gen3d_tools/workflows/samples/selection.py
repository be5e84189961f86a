"""Which samples a command is about: seeds and classes as typed, every class with every seed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import safe_name, shorten
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import distinct_names, parse_classes, parse_seeds
from gen3d_tools.printable import printable
from gen3d_tools.wording import option

MAX_PSI = 4.0
_MAX_NAME_BYTES = 120
ALL_CLASSES = "all"
DEFAULT_SEEDS = "0"


@dataclass(frozen=True)
class Sample:
    """One seed, or the object a generator was tuned around; and its class (None for an unconditional generator)."""

    seed: int | None  # None = the tuned generator's own object, its pivot
    class_index: int | None
    class_name: str

    @property
    def stem(self) -> str:
        """Name for files: `mug-0003`, or `seed-0003` without classes; `mug` or `object` for the pivot."""
        whole = safe_name(self.class_name)
        name = shorten(whole, _MAX_NAME_BYTES)
        if name != whole:
            name = f"{name}-{self.class_index}"  # others may begin alike
        return name or "object" if self.seed is None else f"{name or 'seed'}-{self.seed:04d}"

    @property
    def identity(self) -> dict[str, int | None]:
        """By what a record knows it: two classes may give one name of a file."""
        return {"seed": self.seed, "class_index": self.class_index}

    @property
    def label(self) -> str:
        """Name for people: `mug 3`, or `seed 3`; `the mug` or `the object` for the pivot."""
        if self.seed is None:
            return f"the {self.class_name or 'object'}"
        return f"{self.class_name or 'seed'} {self.seed}"

    @property
    def object_name(self) -> str:
        """Name of the object in a mesh file: `mug-3`, or `seed-3`; `mug` or `object` for the pivot."""
        name = printable(self.class_name)
        return name or "object" if self.seed is None else f"{name or 'seed'}-{self.seed}"

    @property
    def options(self) -> str:
        """What to type after a command and its model for this sample alone; begins with a space unless empty."""
        if self.seed is None:
            return ""
        return (f" --class {shlex.quote(self.class_name)}" if self.class_name else "") + f" --seeds {self.seed}"

    def options_at(self, psi: float) -> str:
        """What to type for this sample alone, truncated.

        Args:
            psi: Truncation, 1 = off.
        """
        return self.options + ("" if psi == 1 or self.seed is None else f" --psi {psi:g}")


@dataclass(frozen=True, kw_only=True)
class SampleSelection:
    """Which samples a command is about, as typed."""

    seeds: str | None = None  # "0,2,5-9"; None = 0, or the object a tuned generator is about
    classes: str | None = None  # names or indices, or "all", each with every seed; None = the seed draws its own
    psi: float = 1.0  # truncation, 1 = off

    @property
    def name_parts(self) -> list[str]:
        """What distinguishes the choice in the name of an output folder."""
        return name_parts(self.seeds, self.classes)

    def samples(self, generator: Generator) -> list[Sample]:
        """Every sample that is meant; see `choose_samples`.

        Raises:
            InputError: A seed or class cannot be read, or the truncation is out of its range.
        """
        samples = choose_samples(generator, self.seeds, self.classes)
        for one in samples:
            _check_psi_of(one, self.psi)
        return samples

    def record(self, generator: Generator) -> dict[str, Any]:
        """The choice as it stands in the record of a run."""
        return {
            "seeds": settle_seeds(generator, self.seeds, self.classes),
            "classes": self.classes,
            "psi": self.psi,
        }


def name_parts(seeds: str | None, classes: str | None) -> list[str]:
    """Give what distinguishes a choice of samples in the name of an output folder."""
    if seeds is None and classes is None:
        return []
    return [classes or "", f"seeds-{seeds or DEFAULT_SEEDS}"]


def settle_seeds(generator: Generator, seeds: str | None, classes: str | None) -> str | None:
    """Give the seeds that are meant; None is the object that a tuned generator is about."""
    if seeds is None and (classes is not None or generator.pivot is None):
        return DEFAULT_SEEDS
    return seeds


def choose_samples(generator: Generator, seeds: str | None, classes: str | None) -> list[Sample]:
    """Combine what was typed: all classes times all seeds, class by class.

    A tuned generator shows the object it was tuned around when neither seeds nor classes are named.

    Args:
        generator: Knows its classes.
        seeds: "0,2,5-9"; seed 0 if None.
        classes: Names or indices, "mug,3,5-7", or "all". None lets each seed draw its own class.

    Raises:
        InputError: A seed or class cannot be read.
    """
    names = distinct_names(generator.class_names)
    if (seeds := settle_seeds(generator, seeds, classes)) is None:
        assert generator.pivot is not None
        index = generator.pivot.class_index
        return [Sample(None, index, "" if index is None else names[index])]
    numbers = parse_seeds(seeds)
    if classes is None:
        drawn = generator.class_indices(numbers)
        if not drawn:
            return [Sample(seed, None, "") for seed in numbers]
        return [Sample(seed, index, names[index]) for seed, index in zip(numbers, drawn, strict=True)]
    if classes.strip().lower() == ALL_CLASSES and names and ALL_CLASSES not in names:
        chosen = list(range(len(names)))
    else:
        chosen = parse_classes(classes, generator.class_names)
    return [Sample(seed, index, names[index]) for index in chosen for seed in numbers]


def check_psi(psi: float) -> float:
    """Refuse a truncation that only gives noise.

    Raises:
        InputError: Not within -4..4.
    """
    if not -MAX_PSI <= psi <= MAX_PSI:
        raise InputError(f"psi is {psi:g}; it must lie in -{MAX_PSI:g}..{MAX_PSI:g} (1 = as trained, 0 = the mean)")
    return psi


def make_ws(generator: Generator, samples: Sequence[Sample], psi: float = 1.0) -> Float[Tensor, "samples num_ws w_dim"]:
    """Compute the latents of every sample.

    Raises:
        InputError: Truncation is asked for the pivot, which is not drawn.
    """
    rows = []
    for one in samples:
        _check_psi_of(one, psi)
        if one.seed is None:
            rows.append(_pivot_ws(generator))
            continue
        classes = None if one.class_index is None else [one.class_index]
        rows.append(generator.latents([one.seed], classes, truncation_psi=psi))
    return torch.cat(rows)


def _check_psi_of(one: Sample, psi: float) -> None:
    """Refuse a truncation that a sample cannot have.

    Raises:
        InputError: It is out of its range, or the sample is the pivot, which is not drawn.
    """
    check_psi(psi)
    if one.seed is None and psi != 1:
        raise InputError(
            f"psi is {psi:g}, but the object from the photo has no seed: leave {option('psi')} out, "
            f"or add {option('seeds')}"
        )


def _pivot_ws(generator: Generator) -> Float[Tensor, "1 num_ws w_dim"]:
    assert generator.pivot is not None, "only choose_samples names the pivot"
    return generator.pivot.ws.to(generator.device)


def make_fields(generator: Generator, samples: Sequence[Sample], psi: float = 1.0) -> Sequence[RadianceField]:
    """Compute the field of every sample."""
    return generator.fields(make_ws(generator, samples, psi))
