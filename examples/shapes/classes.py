"""The ten classes by name, in the order of their index."""

from collections.abc import Callable

from household import chair, donut, lamp, mug
from jaxtyping import Float
from outdoors import house, mushroom, tree
from primitives import Solid
from torch import Tensor
from vehicles import car, rocket, sailboat

SHAPES: dict[str, Callable[[Float[Tensor, "b n 3"], Float[Tensor, "b 10"]], Solid]] = {
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
