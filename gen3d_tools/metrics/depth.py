"""How well depth maps agree with given ones, whose scale and zero may be unknown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gen3d_tools.errors import InputError

LEAST_PIXELS = 3


@dataclass(frozen=True, kw_only=True)
class DepthAgreement:
    """How well one depth map agrees with another."""

    error: float
    """Mean |difference| after scale and shift were fitted, as a share of the given map's range (1st to 99th
    percentile)."""
    rank_correlation: float
    """Spearman's: 1 where nearer is nearer in both, whatever the scale; 0 where a map is flat."""


def compare_depth(
    found: Float[np.ndarray, "h w"], given: Float[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"] | None = None
) -> DepthAgreement:
    """Compare two depth maps, of any scale and zero: the first is fitted to the second by least squares.

    Args:
        found: What is judged.
        given: What it should be.
        where: Pixels that count; all by default.

    Raises:
        InputError: Fewer than three pixels count.
    """
    from scipy.stats import spearmanr

    chosen = np.ones(found.shape, bool) if where is None else where
    x, y = found[chosen].astype(np.float64), given[chosen].astype(np.float64)
    if len(x) < LEAST_PIXELS:
        raise InputError(f"two depth maps share {len(x)} pixels; at least {LEAST_PIXELS} are needed to compare them")
    spread = np.var(x)
    slope = 0.0 if spread == 0 else float(np.mean((x - x.mean()) * (y - y.mean())) / spread)
    fitted = y.mean() + slope * (x - x.mean())
    low, high = np.percentile(y, (1, 99))
    extent = float(high - low) or 1.0
    flat = np.ptp(x) == 0 or np.ptp(y) == 0
    return DepthAgreement(
        error=float(np.abs(fitted - y).mean() / extent),
        rank_correlation=0.0 if flat else float(spearmanr(x, y).statistic),
    )
