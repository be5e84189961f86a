"""Colours of the varied things: four of them, each with a hue, saturation and value of its own."""

from jaxtyping import Float
from primitives import hsv
from torch import Tensor

PALETTE = 20  # index of the first parameter of colour


def tint(
    u: Float[Tensor, "b 32"], slot: int, hue: float, *, span: float = 1.0, dark: float = 0.06, grey: float = 0.0
) -> Float[Tensor, "b 1 3"]:
    """Colour number `slot` (0 to 3) of the palette, `u[:, 20 + 3 slot:]`: hue, saturation and value of their own.

    Args:
        u: Parameters; .5 three times gives a vivid, medium bright `hue`.
        slot: Which of the colours.
        hue: Hue in the middle of its range, in turns.
        span: Width of that range; 1 reaches every hue.
        dark: Smallest value.
        grey: Smallest saturation.
    """
    index = PALETTE + 3 * slot
    pure = grey + (0.97 - grey) * (1 - (1 - u[:, index + 1 : index + 2]).pow(1.4))
    bright = dark + (1.0 - dark) * (1 - (1 - u[:, index + 2 : index + 3]).pow(1.7))
    return hsv(hue + span * (u[:, index : index + 1] - 0.5), pure, bright, u)
