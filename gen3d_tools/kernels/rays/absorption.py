"""The light along one ray, from raw densities to what each sample stops of it, and gradients back (numba).

The arithmetic is that of `volume/compositing.py`: an interval of length l and density s has the optical thickness
s l and lets exp(-s l) of the light through; `lights[k]` is what reaches interval k. Gradients follow the light from
its end: with A_k = dL/d lights[k] and g_k = dL/d (light stopped by interval k),
dL/d thickness_k = lights[k + 1] (g_k - A_{k+1}) and A_k = g_k (1 - e^-thickness_k) + A_{k+1} e^-thickness_k.
"""

from typing import NamedTuple

import numpy as np

from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp, fast_exp_below_0, softplus
from gen3d_tools.kernels.network.numbers import EXP_DENSITY, RELU_DENSITY

DARK = f32(1e-12)  # light below this is none
_SHORT = f32(0.02)  # optical thickness up to which what is stopped is a polynomial: 1 - exp(-x) would cancel
_DENSEST = f32(1e30)
LARGEST_EXPONENT = f32(60)  # beyond it exponential densities stay the same


class Light(NamedTuple):
    """How densities stop light and values are made; the names are those of `RenderConfig` where it has them."""

    density: int  # its activation, see `DENSITY_ACTIVATIONS`
    shift: np.float32  # added to the raw density
    width: np.float32  # density = activation((raw + shift) / width) * width
    midpoint: bool  # marcher; else classical
    smoothed: bool  # importance; else plain
    closing: np.float32  # length of the interval behind the last sample; 0: there is none
    last_takes_rest: bool
    last_in_coarse_pass: bool
    threshold: np.float32  # samples that stop no more light than this have no values and no gradient
    sigmoid: bool  # value = sigmoid(output) * gain + offset, or output * gain + offset
    gain: np.float32
    offset: np.float32


@compiled(forceinline=True)
def _density(light, raw):  # type: ignore[no-untyped-def]
    """Activate a raw density, accurately however small it is: a last interval can be very long."""
    u = (raw + light.shift) / light.width
    if light.density == RELU_DENSITY:
        return max(u, f32(0)) * light.width
    if u < f32(-70):
        return f32(0)
    if light.density == EXP_DENSITY:
        return fast_exp(u) * light.width
    return (softplus(u) if u > f32(-8) else fast_exp_below_0(u)) * light.width


@compiled(forceinline=True)
def _density_slope(light, raw):  # type: ignore[no-untyped-def]
    """Slope of `_density`."""
    u = (raw + light.shift) / light.width
    if light.density == RELU_DENSITY:
        return f32(1) if u > 0 else f32(0)
    if light.density == EXP_DENSITY:
        return fast_exp(u) if u < LARGEST_EXPONENT else f32(0)
    small = fast_exp_below_0(-abs(u))
    return (f32(1) if u > 0 else small) / (f32(1) + small)


@compiled(forceinline=True)
def _stopped(thickness):  # type: ignore[no-untyped-def]
    """`1 - exp(-thickness)`."""
    x = thickness
    if x < _SHORT:
        return x * (f32(1) - x * (f32(0.5) - x * (f32(1 / 6) - x * f32(1 / 24))))
    return f32(1) - fast_exp_below_0(-x)


@compiled(forceinline=True)
def _intervals(light, count):  # type: ignore[no-untyped-def]
    return count if light.closing > 0 or not light.midpoint else count - 1


@compiled(forceinline=True)
def _raw_of(light, raw, k, count):  # type: ignore[no-untyped-def]
    """Raw density of interval k."""
    return f32(0.5) * (raw[k] + raw[k + 1]) if light.midpoint and k < count - 1 else raw[k]


@compiled(forceinline=True)
def thickness_of(light, raw, metric, k, count):  # type: ignore[no-untyped-def]
    """Optical thickness of interval k of a ray with `count` samples."""
    length = metric[k + 1] - metric[k] if k < count - 1 else light.closing
    return min(_density(light, _raw_of(light, raw, k, count)) * length, _DENSEST)


@compiled(forceinline=True)
def absorb(light, raw, metric, count, last, lights, stops, shares):  # type: ignore[no-untyped-def]
    """Follow the light along a ray.

    Args:
        light: How it is stopped.
        raw: Raw density of the samples.
        metric: Where they lie, ascending, in the unit of intervals.
        count: How many there are.
        last: Whether a background "last" has its effect here.
        lights: [count + 1] receives the light before each interval, and behind the last.
        stops: [count] receives the share of it that each interval stops.
        shares: [count] receives what each sample stops.

    Returns:
        The number of intervals, the light left, and the light that reaches the last interval.
    """
    n, thickness = _intervals(light, count), f32(0)
    lights[0] = f32(1)
    for k in range(n):
        x = thickness_of(light, raw, metric, k, count)
        stops[k] = _stopped(x)
        thickness += x
        lights[k + 1] = -thickness
    for k in range(n):
        through = fast_exp_below_0(lights[k + 1])
        lights[k + 1] = through if through > DARK else f32(0)
    for k in range(count):
        shares[k] = f32(0)
    for k in range(n):
        weight = stops[k] * lights[k]
        if light.midpoint and k < count - 1:
            shares[k] += f32(0.5) * weight
            shares[k + 1] += f32(0.5) * weight
        else:
            shares[k] += weight
    left = lights[n]
    if last and light.last_takes_rest:
        shares[count - 1] += left
    return n, left, lights[n - 1]


@compiled(forceinline=True)
def absorb_backward(light, raw, metric, count, lights, stops, share_slopes, ray_slopes, raw_slopes):  # type: ignore[no-untyped-def]
    """Take the gradients of what samples stop back to raw densities.

    Args:
        light: How light is stopped; a background "last" has its effect.
        raw: As in `absorb`; so are the next four, as it left them.
        metric: Where the samples lie.
        count: How many there are.
        lights: Light before each interval.
        stops: Share of it that each interval stops.
        share_slopes: [count] gradients of what each sample stops.
        ray_slopes: Gradients of the light stopped on the way, of the light left, and of the light that reaches the
            last interval.
        raw_slopes: [count] receives the gradients of the raw densities.
    """
    n = _intervals(light, count)
    of_opacity, behind, of_last = ray_slopes
    if light.last_takes_rest:
        behind += share_slopes[count - 1]
    for k in range(count):
        raw_slopes[k] = f32(0)
    for step in range(n):
        k = n - 1 - step
        between = light.midpoint and k < count - 1
        slope = f32(0.5) * (share_slopes[k] + share_slopes[k + 1]) if between else share_slopes[k]
        slope += of_opacity
        length = metric[k + 1] - metric[k] if k < count - 1 else light.closing
        if lights[k + 1] > 0:  # also keeps a length of 1e10 from meeting a light of 0
            middle = _raw_of(light, raw, k, count)
            back = lights[k + 1] * (slope - behind) * length * _density_slope(light, middle)
            if between:
                raw_slopes[k] += f32(0.5) * back
                raw_slopes[k + 1] += f32(0.5) * back
            else:
                raw_slopes[k] += back
        behind = slope * stops[k] + behind * (f32(1) - stops[k])
        if k == n - 1:
            behind += of_last
