"""Shards of samples over several processes: each writes its features into the cache, where this process finds them."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gen3d_tools.batch.engine import drive
from gen3d_tools.batch.pieces import Maker, Notes, Piece
from gen3d_tools.staging import remove_leftovers
from gen3d_tools.workflows.evaluate.distribution.cache import FeatureCache
from gen3d_tools.workflows.evaluate.distribution.samples import SampleShard, features_of_shard
from gen3d_tools.workflows.running.batches import begin_engine
from gen3d_tools.workflows.running.runs import Run, RunOptions


@contextmanager
def shared_cache(cache: FeatureCache, options: RunOptions) -> Iterator[FeatureCache]:
    """Give the cache, or where it keeps nothing and there are workers, one that lasts as long as the block."""
    if cache.folder is not None or not options.batch.spreads(options.device):
        yield cache
        return
    with tempfile.TemporaryDirectory() as folder:
        yield FeatureCache(Path(folder))


def make_shards(
    shards: Sequence[SampleShard], cache: FeatureCache, run: Run, options: RunOptions, done: Callable[[int], None]
) -> None:
    """Let workers make the shards that the cache lacks; nothing happens without workers.

    A worker that dies costs its shard, which is made again; those that are made are kept, whatever happens.

    Args:
        shards: All of them.
        cache: Has a folder, if there are workers; on a cluster, one that all machines see.
        run: The work is part of it.
        options: How many workers, and on which devices.
        done: Told the number of samples that are there.

    Raises:
        Gen3DError: A shard failed three times.
    """
    if not options.batch.spreads(options.device):
        return
    missing = [shard for shard in shards if not cache.has(shard.key())]
    if not missing:
        return
    assert cache.folder is not None, "workers have a cache"
    count = sum(shard.count for shard in shards) - sum(shard.count for shard in missing)
    prepare = functools.partial(_prepare, cache.folder.absolute())
    pieces = [
        Piece(name=f"seeds {one.first}-{one.first + one.count - 1}", task=one, outputs=[cache.path(one.key())])
        for one in missing
    ]
    failure = None
    try:
        for piece, made in drive(pieces, begin_engine(run, prepare, options, len(pieces)), lambda _: None):
            failure = failure or made.failure
            count += piece.task.count
            done(count)
    finally:
        remove_leftovers(cache.folder)  # of processes that were killed
    if failure is not None:
        raise failure.error()


def _prepare(folder: Path, device: str) -> Maker:
    """Make a worker's maker."""
    return functools.partial(_make, FeatureCache(folder), device)


def _make(cache: FeatureCache, device: str, shard: SampleShard, notes: Notes) -> None:
    """Make a shard and keep its features."""
    cache.keep(shard.key(), features_of_shard(replace(shard, device=device)))
