"""Pictures of many samples as shards for training: tar files as WebDataset reads them, and an index of them."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.batch.pieces import Maker, Notes, Piece, Prepare
from gen3d_tools.errors import InputError, MissingDependencyError
from gen3d_tools.files import atomic_path
from gen3d_tools.media.images import encode_pixels, to_uint8
from gen3d_tools.workflows.running.batches import make_pieces, manifest_paths, write_manifests
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import Sample

MAX_SHARD = 1_000_000
INDEX_NAME = "index.parquet"
_PACKAGES = ("webdataset", "pyarrow")

Render = Callable[[Sample], Iterable[Float[Tensor, "3 size size"]]]
"""Gives the pictures of a sample, in the order of the columns."""


@dataclass(frozen=True)
class Shard:
    """One tar file and the samples in it."""

    path: Path
    samples: Sequence[Sample]

    @property
    def name(self) -> str:
        """What it is called in messages and in the manifest: `samples-000003`."""
        return self.path.stem

    @property
    def line(self) -> str:
        """Say for people what is in it."""
        return f"{len(self.samples)} samples, {self.samples[0].label} to {self.samples[-1].label}"


def check_shards(size: int | None, options: RunOptions) -> None:
    """Refuse shards that cannot be, before any work.

    Args:
        size: Samples in each; None if there are to be none.
        options: They are files in a folder.

    Raises:
        InputError: The size is out of its range, or the output is one file.
        MissingDependencyError: What writes them is not installed.
    """
    if size is None:
        return
    if not 1 <= size <= MAX_SHARD:
        raise InputError(f"shards is {size}; it must lie in 1..{MAX_SHARD:,} samples each")
    if options.file is not None:
        raise InputError(f"shards and their index are several files; name a folder: {options.folder_instead}")
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise MissingDependencyError(
            f'shards need {" and ".join(missing)}, not installed; try: pip install "gen3d-tools[batch]"'
        )


def plan_shards(samples: Sequence[Sample], folder: Path, size: int) -> list[Shard]:
    """Share samples out, in their order; a sample that is named twice is there once.

    Raises:
        InputError: Two of them have one key.
    """
    distinct = list(dict.fromkeys(samples))
    keys: dict[str, Sample] = {}
    for one in distinct:
        if (other := keys.setdefault(key_of(one), one)) is not one:
            raise InputError(
                f"{other.label} and {one.label} would both have the key {key_of(one)}; put them into sets of their own"
            )
    return [
        Shard(folder / f"samples-{number:06d}.tar", distinct[start : start + size])
        for number, start in enumerate(range(0, len(distinct), size))
    ]


def make_shards(
    run: Run, shards: Sequence[Shard], columns: Sequence[str], options: RunOptions, here: Maker, elsewhere: Prepare
) -> None:
    """Write every shard that is not whole, and the index of those that are.

    Args:
        run: Takes notes; its options are complete.
        shards: What is to be there.
        columns: What each of a sample's pictures shows.
        options: Where it goes, and who makes it.
        here: Makes a shard in this process.
        elsewhere: Gives the same in another.

    Raises:
        Gen3DError: Something cannot be written.
    """
    folder = shards[0].path.parent
    paths = [shard.path for shard in shards]
    pieces = [
        Piece(name=shard.name, task=shard, outputs=[shard.path], facts={"samples": len(shard.samples)})
        for shard in shards
    ]
    index, manifests = folder / INDEX_NAME, manifest_paths(folder, options)
    whole = claim(run, [*paths, index, *manifests], folder, options, apart=False)
    if options.dry_run:
        for shard in shards:
            run.add(shard.path, shard.line)
        run.add(index, _index_line(shards))
        return
    with run.recording():
        write_manifests(manifests, pieces, run)
        for shard in shards:
            if shard.path in whole:
                run.add(shard.path, f"{shard.line}, there already")
        rest = [piece for piece in pieces if piece.task.path not in whole]
        with run.reporter.progress("writing shards", len(shards)) as done:
            for count, _ in enumerate(
                make_pieces(run, rest, options, here, elsewhere), start=len(shards) - len(rest) + 1
            ):
                done(count)
        made = [shard for shard in shards if shard.name not in run.failures]
        _write_index(index, made, columns)
        run.add(index, _index_line(made))
        run.sort([*paths, index])


def write_shard(render: Render, columns: Sequence[str], overwrite: bool, shard: Shard, notes: Notes) -> None:
    """Write a shard; its bytes depend on nothing but the pictures.

    Args:
        render: Gives a sample's pictures.
        columns: What each of them shows.
        overwrite: Whether it may replace another.
        shard: Which samples, and where they go.
        notes: Takes note of it.

    Raises:
        Gen3DError: It cannot be written.
    """
    writer = import_module("webdataset").TarWriter
    with (
        atomic_path(shard.path, overwrite=overwrite) as temporary,
        temporary.open("wb") as file,
        writer(file, user="", group="", mtime=0, encoder=False) as tar,
    ):
        for one in shard.samples:
            facts = {"seed": one.seed, "class": one.class_name or None, "class_index": one.class_index}
            pictures = {name: _png(image) for name, image in zip(_suffixes(columns), render(one), strict=True)}
            kinds = {} if one.class_index is None else {"cls": str(one.class_index).encode()}
            tar.write({"__key__": key_of(one), "json": json.dumps(facts).encode(), **kinds, **pictures})
    notes.add(shard.path, shard.line)


def key_of(one: Sample) -> str:
    """Give a sample's key: WebDataset takes what follows the first dot for the kind of file."""
    return one.stem.replace(".", "_")


def _suffixes(columns: Sequence[str]) -> list[str]:
    """Name a sample's pictures as the files of a folder end: `png`, or `rgb.png`, `depth-90.png`."""
    if len(columns) == 1:
        return ["png"]
    return [f"{name.replace(' ', '-').removesuffix('°')}.png" for name in columns]


def _png(image: Float[Tensor, "3 h w"]) -> bytes:
    buffer = BytesIO()
    encode_pixels(buffer, to_uint8(image))
    return buffer.getvalue()


def _index_line(shards: Sequence[Shard]) -> str:
    return f"where each of {sum(len(shard.samples) for shard in shards)} samples is"


def _write_index(path: Path, shards: Sequence[Shard], columns: Sequence[str]) -> None:
    """Write a row for each sample: its key, seed and class, its shard and place there, the names of its pictures."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    rows: list[dict[str, Any]] = [
        {
            "key": key_of(one),
            "seed": one.seed,
            "class": one.class_name or None,
            "class_index": one.class_index,
            "shard": shard.path.name,
            "position": position,
            "pictures": [f"{key_of(one)}.{suffix}" for suffix in _suffixes(columns)],
        }
        for shard in shards
        for position, one in enumerate(shard.samples)
    ]
    schema = arrow.schema(
        [
            ("key", arrow.string()),
            ("seed", arrow.int64()),
            ("class", arrow.string()),
            ("class_index", arrow.int32()),
            ("shard", arrow.string()),
            ("position", arrow.int32()),
            ("pictures", arrow.list_(arrow.string())),
        ]
    )
    with atomic_path(path, overwrite=True) as temporary:
        parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")
