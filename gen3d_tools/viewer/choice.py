"""Which object a session looks at, as a value, and the way back to those before it."""

import random
import shlex
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import distinct_names
from gen3d_tools.workflows.samples.selection import Sample, check_psi, choose_samples, make_ws

MAX_SEED = 2**32 - 1
DICE = 100_000
"""Seeds that the dice throw lie below this: short enough to be written down."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One object of one model. A seed of None is the object that a tuned generator is about."""

    model: str
    seed: int | None = 0
    class_index: int | None = None  # None for an unconditional generator
    psi: float = 1.0  # truncation
    second_seed: int = 1  # what it is blended with ...
    blend: float = 0.0  # ... and how far, 0..1
    style_seed: int = 2  # where the layers of `mixed` are from
    mixed: tuple[int, int] = (0, 0)  # first layer, and the one behind the last; equal = none
    edits: tuple[tuple[str, float], ...] = ()  # directions by name, and how far along each

    @property
    def is_plain(self) -> bool:
        """Whether a seed, a class and a truncation say it all."""
        return self.blend == 0 and self.mixed[0] >= self.mixed[1] and not any(amount for _, amount in self.edits)

    def sample(self, generator: Generator) -> Sample:
        """The object as the commands know it, before blending, mixing and edits."""
        names = distinct_names(generator.class_names)
        index = generator.pivot.class_index if self.seed is None and generator.pivot else self.class_index
        return Sample(self.seed, index, "" if index is None else names[index])

    def options(self, generator: Generator) -> str:
        """What to type after a command and its model; begins with a space unless empty.

        Raises:
            InputError: No option says it: it is blended, mixed or edited.
        """
        if not self.is_plain:
            raise InputError("no option says a blend, mixed styles or an edit; take the Python lines")
        return self.sample(generator).options_at(self.psi)

    def after(self, generator: Generator) -> str:
        """The model and the object, as typed after the name of a command.

        Raises:
            InputError: See `options`.
        """
        return shlex.quote(generator.source or self.model) + self.options(generator)


def first_choice(generator: Generator, model: str, seeds: str | None = None, classes: str | None = None) -> Choice:
    """Give what a session begins with: the first of the samples that are named.

    Args:
        generator: Knows its classes, and the object it was tuned around.
        model: Its name in the session.
        seeds: As typed; see `choose_samples`.
        classes: As typed.

    Raises:
        InputError: A seed or class cannot be read.
    """
    first = choose_samples(generator, seeds, classes)[0]
    layers = generator.num_ws - generator.own_rows
    return Choice(model=model, seed=first.seed, class_index=first.class_index, mixed=(layers, layers))


def check_choice(choice: Choice, generator: Generator) -> Choice:
    """Refuse what a page cannot have meant; pages are not trusted more than command lines.

    Raises:
        InputError: A seed, class, truncation, share or layer is out of its range.
    """
    for seed in (choice.seed, choice.second_seed, choice.style_seed):
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise InputError(f"a seed must lie between 0 and {MAX_SEED}, got {seed}")
    if choice.seed is None and generator.pivot is None:
        raise InputError("this model is about no object of its own; choose a seed")
    classes = len(generator.class_names)
    if (choice.class_index is None) != (classes == 0) or not 0 <= (choice.class_index or 0) < max(classes, 1):
        raise InputError(f"there is no class {choice.class_index}; this model has {classes}")
    check_psi(choice.psi)
    if not 0 <= choice.blend <= 1:
        raise InputError(f"a blend lies in 0..1, got {choice.blend:g}")
    first, end = choice.mixed
    if not 0 <= first <= generator.num_ws or not 0 <= end <= generator.num_ws:
        raise InputError(f"layers lie in 0..{generator.num_ws}, got {first} and {end}")
    return choice


@torch.no_grad()
def base_ws(generator: Generator, choice: Choice) -> Float[Tensor, "1 num_ws w_dim"]:
    """Compute the latents of an object before its edits.

    Args:
        generator: Its model.
        choice: Checked.
    """

    def of(seed: int | None) -> Float[Tensor, "1 num_ws w_dim"]:
        sample = replace(choice, seed=seed).sample(generator)
        return make_ws(generator, [sample], 1.0 if seed is None else choice.psi)

    ws = of(choice.seed)
    if choice.blend:
        ws = torch.lerp(ws, of(choice.second_seed), choice.blend)
    first, end = choice.mixed
    if first < end:
        ws = ws.clone()
        ws[:, first:end] = of(choice.style_seed)[:, first:end]
    return ws


@dataclass
class History:
    """Objects that were looked at, as a browser keeps its pages."""

    LONGEST = 200

    seen: list[Choice] = field(default_factory=list)
    place: int = -1

    def add(self, choice: Choice) -> None:
        """Go on to another object; those ahead are forgotten, and the oldest ones at last."""
        del self.seen[self.place + 1 :]
        self.seen.append(choice)
        del self.seen[: -self.LONGEST]
        self.place = len(self.seen) - 1

    def replace(self, choice: Choice) -> None:
        """Change the object that is looked at, without a step."""
        self.seen[self.place] = choice

    def step(self, by: int) -> Choice | None:
        """Go back (-1) or forward (1); None where there is nothing."""
        if not 0 <= self.place + by < len(self.seen):
            return None
        self.place += by
        return self.seen[self.place]


def throw_dice() -> int:
    """Give any seed."""
    return random.randrange(DICE)
