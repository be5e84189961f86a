"""What people type becomes latents: seeds and classes are parsed, seeds become z, keyframes become films."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.checks import check_seeds, one_line
from gen3d_tools.errors import InputError
from gen3d_tools.generators.synonyms import meant_classes
from gen3d_tools.printable import listed, printable

MAX_SEEDS = 100_000  # more in one list is a slip of the keyboard
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


def latent_z(seeds: Sequence[int], z_dim: int) -> Float[Tensor, "n z_dim"]:
    """The Gaussian latent of each seed, `RandomState(seed).randn(z_dim)` as the original scripts draw it.

    One seed is one sample: row i depends on seed i alone.

    Raises:
        InputError: A seed outside 0 .. 2**32 - 1.
    """
    check_seeds(seeds)
    z = np.empty((len(seeds), z_dim), dtype=np.float32)
    for row, seed in enumerate(seeds):
        z[row] = np.random.RandomState(seed).randn(z_dim)
    return torch.from_numpy(z)


def free_latents(
    seed: int, foreground: int, background: int, *, temperature: float
) -> tuple[Float[Tensor, " foreground"], Float[Tensor, " background"]]:
    """Latents of a seed that no mapping network reads, as StyleNeRF's code draws them for a batch of one.

    There are four: shape and appearance of the foreground, shape and appearance of the background. Each is drawn
    twice, and the first draw thrown away; only the shapes are used.

    Args:
        seed: Of torch's generator.
        foreground: Numbers of the foreground's latents; 0 draws none.
        background: Numbers of the background's.
        temperature: Standard deviation.

    Raises:
        InputError: A seed outside 0 .. 2**32 - 1.
    """
    check_seeds([seed])
    random = torch.Generator().manual_seed(seed)
    drawn = []
    for size in (foreground, foreground, background, background):
        torch.randn(1, size, generator=random)
        drawn.append(torch.randn(1, size, generator=random)[0] * temperature)
    return drawn[0], drawn[2]


def interpolate_ws(
    keyframes: Float[Tensor, "k num_ws w_dim"], frames_per_keyframe: int, *, loop: bool = True
) -> Float[Tensor, "frames num_ws w_dim"]:
    """Pass through latents on a cubic spline, as EG3D's video script does.

    Frame `i * frames_per_keyframe` is keyframe i. A loop sees the keyframes repeated twice before and twice
    after, so it is smooth where it closes, and gives k * frames_per_keyframe frames without repeating the
    first one. Otherwise it ends on the last keyframe: (k - 1) * frames_per_keyframe + 1 frames.

    Args:
        keyframes: The latents to pass through.
        frames_per_keyframe: Frames from one keyframe to the next.
        loop: Whether to return to the first keyframe.

    Raises:
        InputError: No keyframes, or `frames_per_keyframe` below 1.
    """
    count = len(keyframes)
    if count < 1 or frames_per_keyframe < 1:
        raise InputError(f"need at least 1 keyframe and 1 frame each, got {count} and {frames_per_keyframe}")
    frames = count * frames_per_keyframe if loop else (count - 1) * frames_per_keyframe + 1
    return ws_spline(keyframes, loop=loop)(np.arange(frames) / frames_per_keyframe)


def ws_spline(
    keyframes: Float[Tensor, "k num_ws w_dim"], *, loop: bool = True
) -> Callable[[np.ndarray], Float[Tensor, "times num_ws w_dim"]]:
    """The curve of `interpolate_ws` as a function of time, so that a long film need not hold all its latents.

    Args:
        keyframes: The latents to pass through, at times 0, 1, ..., k - 1. One alone stands still.
        loop: Whether time k is the first keyframe again.

    Raises:
        InputError: No keyframes.
    """
    count = len(keyframes)
    if count < 1:
        raise InputError("there are no latents to pass through; give at least 1 keyframe")
    if count == 1:
        return lambda times: keyframes.float().repeat(len(times), 1, 1)
    from scipy.interpolate import CubicSpline  # takes as long to import as a picture to render

    wraps = 2 if loop else 0
    knots = np.tile(keyframes.detach().double().cpu().numpy(), (2 * wraps + 1, 1, 1))
    spline = CubicSpline(np.arange(-wraps * count, (wraps + 1) * count), knots, axis=0)
    return lambda times: torch.from_numpy(spline(times)).float().to(keyframes.device)


def parse_seeds(text: str) -> list[int]:
    """Read "0,2,5-9": numbers and ranges, both ends included, in the order given.

    Raises:
        InputError: Anything else, a seed out of range, or more than 100 000 seeds.
    """
    seeds: list[int] = []
    for item in _items(text, "seeds"):
        span = _span(item)
        if span is None:
            raise InputError(
                f"cannot read seed {one_line(item)!r}; seeds are whole numbers from 0 and ranges, such as 0,2,5-9"
            )
        check_seeds(span[:1])
        check_seeds(span[-1:])
        if len(seeds) + len(span) > MAX_SEEDS:
            raise InputError(f"{one_line(text)!r} names more than {MAX_SEEDS} seeds; split the work into several runs")
        seeds.extend(span)
    return seeds


def parse_classes(text: str, class_names: Sequence[str]) -> list[int]:
    """Read class names, indices and ranges of indices, such as "mug,3,5-7", in the order given.

    A name wins over an index, and capitals do not matter. A name that contains a comma is given alone. Classes of one
    name are told apart by their index, such as "crane 134".

    Args:
        text: What was typed.
        class_names: The model's classes, in index order.

    Returns:
        Class indices, repeated ones included.

    Raises:
        InputError: The model has no classes, something is neither a class nor an index of one, or is a name of several.
    """
    if not class_names:
        raise InputError(f"this model has no classes, so {one_line(text)!r} cannot be chosen; leave the class out")
    whole = _named(text.strip(), class_names)
    if whole is not None:
        return [whole]
    indices: list[int] = []
    for item in _items(text, "classes"):
        name = _named(item, class_names)
        indices.extend([name] if name is not None else _class_span(item, class_names))
    return indices


def class_index(name: str | int, class_names: Sequence[str]) -> int:
    """Find one class by name, or check its index.

    Raises:
        InputError: No such class, or more than one is named.
    """
    if isinstance(name, int):
        return _class_span(str(name), class_names)[0] if name >= 0 else parse_classes(str(name), class_names)[0]
    found = parse_classes(name, class_names)
    if len(found) != 1:
        raise InputError(f"{one_line(name)!r} names {len(found)} classes, one is needed here")
    return found[0]


def _class_span(item: str, class_names: Sequence[str]) -> range:
    span = _span(item)
    if span is None:
        raise InputError(_unknown_class(item, class_names))
    if span[-1] >= len(class_names):
        last = len(class_names) - 1
        raise InputError(f"there is no class {span[-1]}; indices run from 0 to {last} ({printable(class_names[last])})")
    return span


def _unknown_class(item: str, class_names: Sequence[str]) -> str:
    lowered = {name.lower(): name for name in distinct_names(class_names)}
    alike = [lowered[name] for name in difflib.get_close_matches(item.lower(), lowered, n=3, cutoff=0.6)]
    close = meant_classes(item, lowered.values()) or alike
    hint = f"; did you mean {' or '.join(map(printable, close))}?" if close else ";"
    return f"unknown class {one_line(item)!r}{hint} classes: {listed(class_names, 12)}"


def _named(name: str, class_names: Sequence[str]) -> int | None:
    """Find the class of a name; None if there is none."""
    distinct = distinct_names(class_names)
    for spelled in (str, str.lower):
        wanted, pairs = spelled(name), zip(class_names, distinct, strict=True)
        found = [index for index, pair in enumerate(pairs) if wanted in map(spelled, pair)]
        if len(found) > 1:
            alike = " or ".join(printable(distinct[index]) for index in found[:12])
            raise InputError(f"{len(found)} classes are called {one_line(name)!r}; choose {alike}")
        if found:
            return found[0]
    return None


def distinct_names(class_names: Sequence[str]) -> list[str]:
    """Add its index to the name of a class that another is called too; ImageNet has two cranes."""
    times = Counter(class_names)
    return [name if times[name] == 1 else f"{name} {index}" for index, name in enumerate(class_names)]


def _items(text: str, what: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise InputError(f"{what} {one_line(text)!r} are empty somewhere; write them as 0,2,5-9")
    return items


def _span(item: str) -> range | None:
    """The numbers of "7" or "5-9"; None if it is neither."""
    if item.isdecimal() and item.isascii():
        return _bounded(item, item)
    match = _RANGE.fullmatch(item)
    return _bounded(*match.groups()) if match and item.isascii() else None


def _bounded(first: str, last: str) -> range:
    if max(len(first), len(last)) > 20:
        raise InputError(f"{one_line(max(first, last, key=len))} is too large a number")
    if int(last) < int(first):
        raise InputError(f"range {first}-{last} runs backwards; write {last}-{first}")
    return range(int(first), int(last) + 1)


def truncate(
    ws: Float[Tensor, "b num_ws w_dim"],
    w_avg: Float[Tensor, "... w_dim"],
    psi: float,
    cutoff: int | None = None,
) -> Float[Tensor, "b num_ws w_dim"]:
    """Pull latents towards their mean: `w_avg + psi (w - w_avg)` on the rows below `cutoff`.

    Args:
        ws: One latent per layer.
        w_avg: The mean: shared [w_dim], per sample [b, 1, w_dim] (class-wise truncation) or per row [num_ws, w_dim].
        psi: 1 leaves `ws` as they are, 0 gives the mean; negative and > 1 are allowed.
        cutoff: Number of leading rows to truncate; None = all.
    """
    if psi == 1 or cutoff == 0:
        return ws
    mixed = w_avg.lerp(ws, psi)
    return mixed if cutoff is None else torch.cat([mixed[:, :cutoff], ws[:, cutoff:]], dim=1)
