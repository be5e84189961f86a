"""How settings change with the number of real pictures seen; pure functions, so that a resumed run knows them all.

`kimg` is thousands of real pictures seen before the step.
"""

import math

GAUSSIAN_REACH = 3  # the blur's kernel ends at so many sigmas


def linear(kimg: float, start: float, end: float, duration: float) -> float:
    """From `start` at 0 to `end` at `duration` thousand pictures, then constant; a duration of 0 gives `end`."""
    if duration <= 0 or kimg >= duration:
        return end
    return start + (end - start) * max(kimg, 0.0) / duration


def blur_sigma(kimg: float, start: float, duration: float) -> float:
    """Width of the blur of the discriminator's inputs, pixels of those inputs; it fades to 0.

    The order of operations is the published one: rounding decides how many pixels `blur_radius` counts.
    """
    return max(1 - kimg * 1000 / (duration * 1000), 0.0) * start if duration > 0 else 0.0


def blur_radius(sigma: float) -> int:
    """Pixels on either side that the blur reads; 0 is no blur."""
    return math.floor(GAUSSIAN_REACH * sigma)


def swap_probability(kimg: float, final: float, duration: float) -> float:
    """Probability that the mapping network reads another sample's camera (EG3D, section 4.3; EpiGRAF).

    1 at the start, so that the generator cannot rely on the camera before it makes anything.
    """
    return linear(kimg, 1.0, final, duration)


def candidate_probabilities(kimg: float, candidates: int, duration: float, least: float = 0.1) -> list[float]:
    """Probabilities of the depth adaptor's answers: equal at first, then in favour of the deeper ones (3DGP, 3.1).

    Args:
        kimg: Thousands of pictures seen.
        candidates: Number of answers, the raw depth included.
        duration: Thousands of pictures until the end.
        least: Probability of the raw depth at the end.
    """
    progress = linear(kimg, 0.0, 1.0, duration)
    first = (1 - progress) / candidates + least * progress
    if candidates == 1:
        return [1.0]
    step = (1 - candidates * first) * 2 / (candidates * (candidates - 1))
    return [first + k * step for k in range(candidates)]


def rendering_resolution(kimg: float, start: int, final: int, duration: float) -> int:
    """Rays along a side while the neural rendering resolution grows (EG3D, section 4.3)."""
    return round(linear(kimg, float(start), float(final), duration))
