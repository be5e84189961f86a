"""Varied things of the ten classes, made to be looked at: 32 numbers each for proportions, styles, palettes, patterns.

The bundled generator knows toys of narrow proportions; pictures that people bring show real things. The encoder learns
their classes and directions from these. Parameters are `u [b, 32]` in (0, 1): twenty of shape, twelve of palette; y is
up, the front faces +z, everything within .469 of the origin.
"""

from collections.abc import Callable

from jaxtyping import Float
from primitives import Solid
from torch import Tensor

from varied.crockery import donut, mug
from varied.houses import house
from varied.lamps import lamp
from varied.outdoors import mushroom, tree
from varied.seats import chair
from varied.vehicles import car
from varied.vessels import rocket, sailboat

NUMBERS = 32  # parameters of each thing

VARIED: dict[str, Callable[[Float[Tensor, "b n 3"], Float[Tensor, "b 32"]], Solid]] = {
    "car": car,
    "chair": chair,
    "donut": donut,
    "house": house,
    "lamp": lamp,
    "mug": mug,
    "mushroom": mushroom,
    "rocket": rocket,
    "sailboat": sailboat,
    "tree": tree,
}
"""Each thing by the name of its class."""
