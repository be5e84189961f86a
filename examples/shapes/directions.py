"""Named directions for a model of the shapes: `python examples/shapes/directions.py weights/shapes`.

The parameters of every training object are known, so a name is a fact here: within each class w is regressed on the
ten parameters, and the coefficients of one are the way along which that one changes while the others stay.

Whether an edited object did what the name says is *measured on the object*: procedural shapes are fitted to its field
(signed distances and colours at random points), from the parameters that it had before. `correlation` is that between
amounts and fitted changes of the named parameter, over held-out latents; what is below `LEAST_CORRELATION`, or moves
another parameter more than its own, is left out of the file.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from dataset import CLASSES, Z_DIM, gradient, parameters, shaded_color, signed_distance, solid
from jaxtyping import Float
from network import SIGNED_DISTANCE_UNIT
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.editing.directions import Direction, Directions, model_digest
from gen3d_tools.editing.spread import deviations
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import latent_z

# What each of the ten parameters does to an object when it grows; a minus: when it shrinks. See the classes' functions.
MEANINGS: dict[str, tuple[str, ...]] = {
    "car": ("length", "width", "body-height", "cabin-height", "cabin-forward", "wheel-size",
            "hue", "brightness", "glass-brightness", "hub-color"),
    "chair": ("width", "depth", "seat-height", "back-height", "leg-width", "cushion-height",
              "hue", "brightness", "wood-hue", "wood-brightness"),
    "donut": ("width", "thickness", "height", "-icing-cover", "icing-waves", "icing-thickness",
              "hue", "brightness", "dough-hue", "dough-brightness"),
    "house": ("width", "depth", "wall-height", "roof-height", "roof-width", "chimney-height",
              "hue", "brightness", "wall-hue", "wall-brightness"),
    "lamp": ("base-width", "ball-size", "shade-width", "shade-top-width", "shade-height", "height",
             "hue", "brightness", "stand-hue", "stand-brightness"),
    "mug": ("width", "height", "flare", "handle-size", "fill", "band-width",
            "hue", "brightness", "band-hue", "band-color"),
    "mushroom": ("stem-width", "foot-width", "cap-width", "cap-height", "height", "spot-size",
                 "hue", "brightness", "stem-hue", "stem-brightness"),
    "rocket": ("width", "height", "fin-width", "fin-height", "-nose-paint", "window-size",
               "hue", "brightness", "shell-hue", "shell-color"),
    "sailboat": ("length", "width", "hull-depth", "height", "mainsail-width", "jib-width",
                 "hue", "brightness", "stripe-hue", "sail-color"),
    "tree": ("width", "top-width", "trunk-width", "trunk-height", "fullness", "height",
             "hue", "brightness", "trunk-hue", "top-brightness"),
}  # fmt: skip
SIZES = {
    "car": (0, 1, 2, 3), "chair": (0, 1, 3), "donut": (0, 1, 2), "house": (0, 1, 2, 3), "lamp": (0, 2, 4, 5),
    "mug": (0, 1), "mushroom": (0, 2, 3, 4), "rocket": (0, 1), "sailboat": (0, 1, 2, 3), "tree": (0, 5),
}  # fmt: skip
"""The parameters that make an object of a class larger as a whole, all of which "size" moves."""

LEAST_CORRELATION = 0.8
FIRST_SEED = 2000  # of held-out latents
AMOUNTS = (-2.0, 2.0)  # standard deviations, the range that is measured
_DRAWN = 4000  # latents per class behind the regression
_STEPS, _RATE = 120, 0.04  # of the fit
_REACH = 0.08  # world units, within which points are drawn
_NEAR = 0.5  # truncated distances below this have a colour to compare


@dataclass(frozen=True)
class Measured:
    """One direction, and what it did to held-out objects."""

    direction: Direction
    correlation: float  # between amounts and changes of what the name says
    slope: float  # change of it per standard deviation, as a share of the class's whole range
    spill: float  # largest slope of a parameter that the name does not mention
    spill_name: str


def named_weights(label: int) -> dict[str, Float[Tensor, " 10"]]:
    """What each name of a class means, as weights of the ten parameters."""
    name = CLASSES[label]
    weights = {}
    for index, meaning in enumerate(MEANINGS[name]):
        row = torch.zeros(Z_DIM)
        row[index] = -1.0 if meaning.startswith("-") else 1.0
        weights[meaning.removeprefix("-")] = row
    size = torch.zeros(Z_DIM)
    size[list(SIZES[name])] = 1 / len(SIZES[name])
    return {"size": size, **weights}


@torch.no_grad()
def regress(generator: Generator, label: int) -> list[Direction]:
    """Regress w on the parameters of one class; held-out latents are not among those that are drawn."""
    z = torch.randn(_DRAWN, Z_DIM, generator=torch.Generator().manual_seed(label))
    onehot = torch.nn.functional.one_hot(torch.tensor(label), len(CLASSES)).float()
    w = generator.map(z, onehot.expand(_DRAWN, -1))[:, 0].double()
    u = parameters(z).double()
    slopes = torch.linalg.lstsq(u - u.mean(0), w - w.mean(0)).solution  # [10, w_dim]
    found = []
    for name, weights in named_weights(label).items():
        vector = torch.nn.functional.normalize(weights.double() @ slopes, dim=0)
        deviation = float(deviations(w - w.mean(0), vector[None])[0])
        layers = tuple(range(generator.num_ws))
        found.append(
            Direction(
                name=name,
                vector=vector.float(),
                layers=layers,
                deviation=deviation,
                method="regression",
                class_index=label,
            )
        )
    return found


def fit(
    fields: list[TriplaneField], start: Float[Tensor, "b 10"], label: int, points: Float[Tensor, "b n 3"]
) -> Float[Tensor, "b 10"]:
    """Fit the parameters of a class to fields, from those that the objects had before they were edited.

    Args:
        fields: One per object.
        start: Parameters to begin with, in (0, 1).
        label: The class.
        points: Where both are compared.
    """
    with torch.no_grad():
        answers = [field(one) for field, one in zip(fields, points, strict=True)]
        rgb = torch.stack([values[:, :3] for values, _ in answers])
        raw = torch.stack([raw for _, raw in answers])
    gain = float(fields[0].decoder.density_gain)  # raw density per unit of truncated distance
    wanted = (raw / gain).clamp(-1, 1)
    near = (wanted.abs() < _NEAR).float()
    free = torch.special.ndtri(start.clamp(0.02, 0.98)).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=_RATE)
    shade = torch.ones_like(rgb)
    for step in range(_STEPS):
        u = torch.special.ndtr(free)
        if step % 30 == 0:
            shade = _shading(points, u.detach(), label)
        there = solid(points, u, label)
        distance = (-there.distance() / SIGNED_DISTANCE_UNIT).clamp(-1, 1)
        color = (there.color().clamp(0, 1) * shade - rgb).abs().mean(-1)
        loss = (distance - wanted).abs().mean(1) + (color * near).sum(1) / near.sum(1).clamp_min(1)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    return torch.special.ndtr(free.detach())


@torch.no_grad()
def _shading(points: Tensor, u: Tensor, label: int) -> Tensor:
    """How much of its own colour each point shows: light from above, what is in its way."""
    normals = torch.nn.functional.normalize(gradient(points, u, label), dim=-1)
    flat = solid(points, u, label).color().clamp(0.02, 1)
    return shaded_color(points, normals, u, label) / flat


def measure(generator: Generator, label: int, found: list[Direction], *, latents: int, points: int) -> list[Measured]:
    """Move held-out latents of one class along each direction, and fit what comes out."""
    seeds = range(FIRST_SEED, FIRST_SEED + latents)
    ws, start = generator.latents(seeds, [label] * latents), parameters(latent_z(seeds, Z_DIM))
    where = _points(start, label, points)
    with torch.no_grad():
        fields = generator.fields(ws)
    before = fit(fields, start, label, where)
    rows = []
    for number, direction in enumerate(found):
        random = np.random.RandomState(number)
        amounts = torch.from_numpy(random.uniform(*AMOUNTS, latents)).float()
        amounts[::2] = amounts[::2].abs()
        amounts[1::2] = -amounts[1::2].abs()
        moved = torch.cat([direction.apply(one[None], float(a)) for one, a in zip(ws, amounts, strict=True)])
        with torch.no_grad():
            fields = generator.fields(moved)
        change = fit(fields, start, label, where) - before
        weights = named_weights(label)[direction.name]
        rows.append(_measured(direction, weights, amounts, change, MEANINGS[CLASSES[label]]))
    return rows


def _measured(
    direction: Direction, weights: Tensor, amounts: Tensor, change: Tensor, meanings: tuple[str, ...]
) -> Measured:
    named = change @ weights
    correlation = float(torch.corrcoef(torch.stack([amounts, named]))[0, 1])
    slopes = (amounts @ change) / amounts.square().sum()
    others = torch.where(weights == 0, slopes.abs(), torch.zeros(()))
    worst = int(others.argmax())
    slope = float((amounts @ named) / amounts.square().sum())
    kept = replace(direction, correlation=round(correlation, 3) if np.isfinite(correlation) else None)
    return Measured(kept, correlation, slope, float(others[worst]), meanings[worst].removeprefix("-"))


@torch.no_grad()
def _points(u: Tensor, label: int, count: int) -> Float[Tensor, "b n 3"]:
    """Points about the surface of each object before it was edited, and as far from it as edits move it."""
    random = torch.Generator().manual_seed(0)
    places = torch.rand(len(u), 5 * count, 3, generator=random) - 0.5
    away = signed_distance(places, u, label).abs() + _REACH * torch.rand(len(u), 5 * count, generator=random)
    chosen = away.topk(count, dim=1, largest=False).indices
    return places.gather(1, chosen[..., None].expand(-1, -1, 3))


def is_true(row: Measured) -> bool:
    """Whether a person would say that the direction does what its name says."""
    return row.correlation >= LEAST_CORRELATION and row.slope > row.spill


def table(rows: list[Measured]) -> str:
    """Write what was measured as Markdown, a line for each direction."""
    lines = ["| class | direction | correlation | per deviation | most that another moves | kept |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        direction = row.direction
        assert direction.class_index is not None
        other = f"{100 * row.spill:.0f}% ({row.spill_name})"
        lines.append(
            f"| {CLASSES[direction.class_index]} | {direction.name} | {row.correlation:.2f} | {100 * row.slope:.0f}% "
            f"| {other} | {'yes' if is_true(row) else 'no'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the command line, find, measure, keep what is true."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder or bundled name")
    parser.add_argument("-o", "--out", type=Path, help="the file; by default directions.safetensors in the folder")
    parser.add_argument("--latents", type=int, default=16, help="held-out latents per class")
    parser.add_argument("--points", type=int, default=6000, help="points at which shapes are compared")
    parser.add_argument("--classes", nargs="*", default=list(CLASSES), help="some of the classes")
    options = parser.parse_args()
    generator = g3.load_generator(options.model, device="cpu")
    rows: list[Measured] = []
    print(table([]), flush=True)
    for name in options.classes:
        label = CLASSES.index(name)
        found = measure(generator, label, regress(generator, label), latents=options.latents, points=options.points)
        print("\n".join(table(found).splitlines()[2:]), flush=True)
        rows += found
    kept = tuple(row.direction for row in rows if is_true(row))
    out = options.out or Path(options.model) / "directions.safetensors"
    whole = Directions(
        model_sha256=model_digest(generator), num_ws=generator.num_ws, w_dim=generator.config.w_dim, entries=kept
    )
    whole.save(out, overwrite=True)
    print(f"{out}: {len(kept)} of {len(rows)} directions, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
