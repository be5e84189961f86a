"""In which order pictures are seen: shuffled anew in every epoch, or the published code's endless shuffling."""

from collections.abc import Iterator

import numpy as np


def epoch_order(count: int, epoch: int, seed: int) -> np.ndarray:
    """The order of one epoch; it depends on nothing but these three numbers."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def entries_at(position: int, wanted: int, count: int, seed: int) -> np.ndarray:
    """Entries of the data set that follow a position in the endless sequence of epochs.

    Args:
        position: Pictures seen before.
        wanted: How many.
        count: Pictures in the data set.
        seed: Of the shuffling.
    """
    found: list[np.ndarray] = []
    while wanted > 0:
        epoch, start = divmod(position, count)
        taken = epoch_order(count, epoch, seed)[start : start + wanted]
        found.append(taken)
        position, wanted = position + len(taken), wanted - len(taken)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def window_order(count: int, *, seed: int = 0, replicas: int = 1, rank: int = 0, window: float = 0.5) -> Iterator[int]:
    """The published sampler: a shuffled list whose entries are swapped back behind the reader, without an end.

    Args:
        count: Pictures in the data set.
        seed: Of the shuffling.
        replicas: Processes, which take turns.
        rank: Number of this one.
        window: Share of the data set within which an entry is swapped.
    """
    random = np.random.RandomState(seed)
    order = np.arange(count)
    random.shuffle(order)
    reach = int(np.rint(window * count))
    position = 0
    while True:
        here = position % count
        if position % replicas == rank:
            yield int(order[here])
        if reach >= 2:
            other = (here - random.randint(reach)) % count
            order[here], order[other] = order[other], order[here]
        position += 1
