"""A direction in latent space as a value, and a set of them as a file beside a model."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.checkpoints.directions import (
    DIRECTIONS_NAME,
    DirectionEntry,
    DirectionHeader,
    read_directions,
    write_directions,
)
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.source import find_source, reference
from gen3d_tools.printable import listed

MAX_AMOUNT = 20.0
"""Standard deviations; farther out, no generator knows what it draws."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A way through latent space that changes one thing, as far as the generator keeps things apart."""

    name: str
    vector: Float[Tensor, " w_dim"]
    """Unit length."""
    layers: tuple[int, ...]
    """Rows of `ws` that are moved; the others stay."""
    deviation: float
    """Standard deviation of w along the vector: what an amount of 1 moves by."""
    method: str
    """How it was found: "sefa", "pca", "difference", "svm", or a sentence."""
    class_index: int | None = None
    """The class that it is for; None for all of them."""
    correlation: float | None = None
    """Between the amount and what the name says, measured on objects of held-out latents; None where nobody did."""

    def apply(self, ws: Float[Tensor, "*b num_ws w_dim"], amount: float) -> Float[Tensor, "*b num_ws w_dim"]:
        """Move latents along the direction; gradients follow.

        Args:
            ws: One latent per layer, of one sample or several.
            amount: How far, in standard deviations of w along the direction; negative moves the other way.

        Raises:
            InputError: The latents are of another size, or the amount is not within -20..20.
        """
        if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
            limits = f"-{MAX_AMOUNT:g}..{MAX_AMOUNT:g} standard deviations"
            raise InputError(f"amount of {self.name} is {amount:g}; it must lie in {limits}")
        if ws.shape[-1] != len(self.vector) or ws.shape[-2] <= max(self.layers):
            found, wanted = list(ws.shape[-2:]), [max(self.layers) + 1, len(self.vector)]
            raise InputError(
                f"direction {self.name} moves latents of {wanted} and more rows, got {found}; it is of another model"
            )
        step = ws.new_zeros(ws.shape[-2:])
        step[list(self.layers)] = self.vector.to(ws) * (amount * self.deviation)
        return ws + step


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """Directions of one model, in order."""

    model_sha256: str
    """Digest of the model's tensors, by which it is known again; "" for a generator that is nowhere on disk."""
    num_ws: int
    w_dim: int
    entries: tuple[Direction, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Direction]:
        return iter(self.entries)

    def __getitem__(self, name: str | int) -> Direction:
        """Give a direction by its place, or by its name where no other class has one of that name."""
        return self.entries[name] if isinstance(name, int) else self.named(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, in order."""
        return tuple(dict.fromkeys(one.name for one in self.entries))

    def of_class(self, class_index: int | None) -> "Directions":
        """Leave out what is for other classes."""
        kept = tuple(one for one in self.entries if one.class_index in (None, class_index))
        return replace(self, entries=kept)

    def named(self, name: str, class_index: int | None = None) -> Direction:
        """Find a direction.

        Args:
            name: What it is called.
            class_index: The class of the sample; what is for that class comes before what is for all.

        Raises:
            InputError: There is none of that name for the class, or several and no class is given.
        """
        found = [one for one in self.entries if one.name == name]
        fitting = [one for one in found if one.class_index == class_index] or [
            one for one in found if one.class_index is None or class_index is None
        ]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise InputError(f"{len(fitting)} classes have a direction {name}; say which class is meant")
        known = self.of_class(class_index).names if class_index is not None else self.names
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {listed(list(known), 20) or 'none'}"
        raise InputError(f"no direction is called {name[:40]!r} here; {hint}")

    def joined(self, other: "Directions") -> "Directions":
        """Add directions of the same model; of two with one name and class, the other's stays.

        Raises:
            InputError: They are of another model.
        """
        if (other.model_sha256, other.num_ws, other.w_dim) != (self.model_sha256, self.num_ws, self.w_dim):
            raise InputError("the directions are of two models; keep them in two files")
        taken = {(one.name, one.class_index) for one in other.entries}
        kept = tuple(one for one in self.entries if (one.name, one.class_index) not in taken)
        return replace(self, entries=kept + other.entries)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write them to a file that `load_directions` reads; beside a model, as `directions.safetensors`, it is found.

        Args:
            path: A .safetensors file, whole or not at all.
            overwrite: Replace an existing file.

        Raises:
            InputError: They are of a generator that is nowhere on disk, the suffix is another, or there are none.
            Gen3DError: The file cannot be written.
        """
        path = Path(path)
        check_directions_path(path)
        if not self.model_sha256:
            raise InputError(
                "these directions are of a generator that is nowhere on disk, so a file could not say of which model; "
                "save the generator, load it with load_generator, and find them again"
            )
        if not self.entries:
            raise InputError("there are no directions to save; find some first")
        entries = tuple(
            DirectionEntry(
                name=one.name,
                layers=one.layers,
                deviation=one.deviation,
                method=one.method,
                class_index=one.class_index,
                correlation=one.correlation,
            )
            for one in self.entries
        )
        header = DirectionHeader(model_sha256=self.model_sha256, num_ws=self.num_ws, w_dim=self.w_dim, entries=entries)
        write_directions(path, header, torch.stack([one.vector.cpu() for one in self.entries]), overwrite=overwrite)


def load_directions(source: str | Path, generator: Generator) -> Directions:
    """Read directions, and check that they are of this generator's model.

    Args:
        source: The file; or a folder, such as a model's, that holds `directions.safetensors`.
        generator: What they are to be applied to: the model itself, or a result that was tuned from it.

    Raises:
        NotFoundError: There is no such file.
        CheckpointError: It is broken, or of another model.
    """
    path = Path(source)
    path = path / DIRECTIONS_NAME if path.is_dir() else path
    header, vectors = read_directions(path)
    digest = model_digest(generator)
    if header.model_sha256 != digest:
        found = f"{header.model_sha256[:12]}, this is {digest[:12]}" if digest else header.model_sha256[:12]
        raise CheckpointError(
            f"{path} holds directions of another model (its sha256 begins with {found}); find them for this one with "
            "gen3d directions"
        )
    if (header.num_ws, header.w_dim) != (generator.num_ws, generator.config.w_dim):
        raise CheckpointError(f"{path}: its directions are not of the size of the model's latents; the file is damaged")
    classes = len(generator.class_names)
    if any(one.class_index is not None and one.class_index >= classes for one in header.entries):
        raise CheckpointError(f"{path} holds directions of classes that the model lacks; the file is damaged")
    entries = tuple(
        Direction(vector=vector, **vars(entry))
        for entry, vector in zip(header.entries, vectors.to(generator.device), strict=True)
    )
    return Directions(model_sha256=digest, num_ws=generator.num_ws, w_dim=int(generator.config.w_dim), entries=entries)


def model_digest(generator: Generator) -> str:
    """Give the digest of a generator's model, or of the one that it was tuned from; "" if it is nowhere on disk."""
    return reference(find_source(generator.source)).sha256 if generator.source else ""


def own_directions(generator: Generator, base: Path) -> Directions | None:
    """Read the directions that lie beside a model; None where there are none.

    Args:
        generator: The model, or a result that was tuned from it.
        base: Its folder; beside a pickle nothing is looked for.

    Raises:
        CheckpointError: The file is broken, or of another model.
    """
    return load_directions(base, generator) if (base / DIRECTIONS_NAME).is_file() else None


def check_directions_path(path: Path) -> None:
    """Refuse a name that no file of directions has, before any work.

    Raises:
        InputError: The suffix is another.
    """
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"{path.name} cannot hold directions; name it .safetensors, such as {DIRECTIONS_NAME}")


def check_layers(layers: Sequence[int] | None, generator: Generator) -> tuple[int, ...]:
    """Settle which rows of `ws` are moved: by default all that the mapping network gives.

    Raises:
        InputError: A layer is not there, or none is named.
    """
    styles = generator.num_ws - generator.own_rows
    if styles < 1:
        raise InputError(f"{generator.family} has no latent w, so there are no directions to move along")
    if layers is None:
        return tuple(range(styles))
    chosen = tuple(dict.fromkeys(layers))
    if not chosen or not all(0 <= layer < styles for layer in chosen):
        found = ", ".join(map(str, chosen)) or "none"
        raise InputError(f"layers are {found}; this model has layers 0 to {styles - 1}")
    return chosen
