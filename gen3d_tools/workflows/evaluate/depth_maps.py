"""Depth maps of pictures beside given ones of the same names."""

import numpy as np
from jaxtyping import Float

from gen3d_tools.errors import InputError
from gen3d_tools.metrics.depth import LEAST_PIXELS, compare_depth
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.wording import option
from gen3d_tools.workflows.evaluate.measures import Curve, Group, Measure

_ENDS = (0, 65535)
"""What a map of 16 bits has where nothing is known."""


def compare_depth_maps(made: PictureSet, given: PictureSet) -> Group:
    """Compare the depth maps of pictures that both sets have; pixels where the given map is 0 or 65,535 do not count.

    Args:
        made: Pictures with the depth maps that are judged.
        given: Pictures of the same names with those that they should be; maps without any depth are left out.

    Raises:
        InputError: No name is in both sets, or no given map holds a depth.
    """
    names, rows = shared_names(made, given), []
    for name in names:
        ours, theirs = (_levels(one, one.names.index(name)) for one in (made, given))
        known = np.isin(theirs, _ENDS, invert=True)
        if known.sum() >= LEAST_PIXELS:
            found = compare_depth(ours, theirs, known)
            rows.append({"name": name, "error": found.error, "rank_correlation": found.rank_correlation})
    if not rows:
        raise InputError(
            f"none of {len(names):,} depth maps of {given.container.path} holds a depth: all of them are 0 or "
            f"65,535, which is background; compare without {option('geometry', True)}"
        )
    errors, ranks = ([float(row[key]) for row in rows] for key in ("error", "rank_correlation"))  # type: ignore[arg-type]
    return Group(
        name="depth",
        title="Depth",
        measures=[
            Measure(
                name="depth error",
                value=100 * float(np.mean(errors)),
                spread=100 * float(np.std(errors)),
                unit="% of the range",
                better="lower",
                note="scale and shift fitted",
            ),
            Measure(
                name="depth rank correlation",
                value=float(np.mean(ranks)),
                spread=float(np.std(ranks)),
                better="higher",
                note="Spearman",
            ),
        ],
        facts={
            "pictures": len(rows),
            "left_out": (made.count - len(names)) + (given.count - len(names)),
            "without_depth": len(names) - len(rows),
        },
        rows=rows,
        curves=[Curve(title="Rank correlation of depth", across="Spearman's correlation", series={"pictures": ranks})],
    )


def shared_names(made: PictureSet, given: PictureSet) -> list[str]:
    """Name the pictures that both sets have.

    Raises:
        InputError: There are none.
    """
    names = sorted(set(made.names) & set(given.names))
    if not names:
        raise InputError(
            f"no picture of {made.container.path} has the name of one in {given.container.path}; depth maps are "
            "compared name by name"
        )
    return names


def _levels(pictures: PictureSet, index: int) -> Float[np.ndarray, "h w"]:
    """A depth map in levels of 16 bits."""
    depth = pictures.batch([index]).depth
    assert depth is not None, "the set was opened with its depth maps"
    return ((depth[0, 0].double() + 1) * 32768).round().numpy()
