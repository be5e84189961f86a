"""A photo as the inversion sees it: square, framed like the generator's own pictures, on white."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError


@dataclass(frozen=True, eq=False)
class Photo:
    """One prepared photo.

    Raises:
        InputError: Picture and mask differ in size, or the picture is not square.
    """

    rgb: Float[Tensor, "3 n n"]
    """Colours in [0, 1], the object on white where the mask is below 1."""

    mask: Float[Tensor, "1 n n"]
    """How much of each pixel is object, in [0, 1]; all ones where nothing was separated."""

    source: str = ""
    """Where it comes from, for people: a path or a word."""

    warnings: tuple[str, ...] = ()
    """What was done to it that a person should know, one line each."""

    def __post_init__(self) -> None:
        height, width = self.rgb.shape[-2:]
        if height != width or self.mask.shape[-2:] != self.rgb.shape[-2:]:
            found = f"a picture of {width} x {height} and a mask of {self.mask.shape[-1]} x {self.mask.shape[-2]}"
            raise InputError(f"a prepared photo is square and has a mask of its own size, got {found}")

    @property
    def size(self) -> int:
        """Side in pixels."""
        return self.rgb.shape[-1]
