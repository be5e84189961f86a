"""What a face detector answers."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

POINT_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""The five points in their order: eye centres, tip of the nose, mouth corners; left and right are the picture's."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture; places are in pixels, x to the right and y down from the upper left corner."""

    points: Float[Tensor, "5 2"]
    """Places of `POINT_NAMES`."""

    box: tuple[float, float, float, float]
    """Left, top, right and bottom."""

    confidence: float
    """In [0, 1]."""

    @property
    def extent(self) -> float:
        """Width and height together, pixels: which of several faces is the largest."""
        left, top, right, bottom = self.box
        return (right - left) + (bottom - top)


@runtime_checkable
class FaceDetector(Protocol):
    """What every detector offers."""

    name: str

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> list[Face]:
        """Find the faces in a picture in [0, 1], largest first."""
