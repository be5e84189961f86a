"""Published checkpoints: pickles of whole training snapshots, read without running anything in them.

The file is mapped, its stream (or the one in a ZIP archive of torch's) is walked by our own reader (`unpickling`), and
only the names that published checkpoints contain have a meaning (`allowed_globals`). The result is numbers and
settings: `OfficialModel`. What they mean is up to the model family's module in `generators`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.checkpoints.pickles.allowed_globals import OfficialVocabulary
from gen3d_tools.checkpoints.pickles.config_values import PlainValues
from gen3d_tools.checkpoints.pickles.records import Record, TensorRecord
from gen3d_tools.checkpoints.pickles.state_dicts import read_generator
from gen3d_tools.checkpoints.pickles.tensor_storage import LEGACY_MAGIC, TensorReader
from gen3d_tools.checkpoints.pickles.torch_archive import START as ARCHIVE_START
from gen3d_tools.checkpoints.pickles.torch_archive import read_archive
from gen3d_tools.checkpoints.pickles.unpickling import Budget, Unpickler
from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.printable import listed, printable, quoted

_NETWORK = "G_ema"
_MAX_MODULES = 5000
_MAX_TENSORS = 20_000
_MAX_WARNINGS = 20
_MAX_DEPTH = 24
_MAX_NAME = 100
_SUPPORTED = "supported are EG3D, EpiGRAF, 3DGP, StyleNeRF and VolumeGAN generators"
_EG3D_ARGUMENTS = (
    "z_dim",
    "c_dim",
    "w_dim",
    "img_resolution",
    "img_channels",
    "sr_num_fp16_res",
    "mapping_kwargs",
    "rendering_kwargs",
    "sr_kwargs",
)


@dataclass(frozen=True, kw_only=True)
class OfficialModel:
    """What a published checkpoint says about its generator (G_ema), as plain values.

    Attributes:
        source: Name of the file.
        sha256: Of the whole file.
        family: "eg3d", "epigraf", "threedgp", "stylenerf" or "volumegan".
        init_kwargs: Arguments the network was built with, positional ones by their names.
        attributes: Live attributes by the module's dotted path, "" is the root: numbers, texts, lists, tables;
            small plain tensors as nested lists. Objects that are no modules but hold settings (StyleNeRF's camera,
            renderer and upsampler) have paths of their own, such as "synthesis.C".
        classes: Class name of every module by its dotted path.
        config: Resolved configuration of the generator, {} if the file has none.
        tensors: The state dict; float32, or float64 where the file has that.
        warnings: What a user should know: placeholders, references that lead nowhere. A few lines, whatever the file
            holds: what repeats is counted.
    """

    source: str
    sha256: str
    family: str
    init_kwargs: dict[str, Any]
    attributes: dict[str, dict[str, Any]]
    classes: dict[str, str]
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    warnings: list[str] = field(default_factory=list)


def read_official(path: str | Path, *, allow_unknown: bool = False) -> OfficialModel:
    """Read a published checkpoint. Nothing in it is run, imported or opened.

    Args:
        path: The pickle, or an archive of `torch.save`.
        allow_unknown: Replace globals outside the known list by inert placeholders, and say so in `warnings`,
            instead of refusing the file.

    Raises:
        NotFoundError: No such file.
        CheckpointError: It is damaged, hostile, or holds something other than a supported generator.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"no file {path}; give the .pkl or .pth of a published checkpoint")
    check_no_pointer(path)
    with refusing(str(path)), path.open("rb") as file:
        start = file.read(8)
        archive = start.startswith(ARCHIVE_START)
        if start[:1] != b"\x80" and not archive:
            raise CheckpointError(_other_format(start))
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            model = (_read_archive if archive else _read)(data, path.name, allow_unknown=allow_unknown)
        file.seek(0)
        # Read, not mapped: hashing the map would count every page of the file as this process's memory.
        return replace(model, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _other_format(start: bytes) -> str:
    if not start:
        return "it is empty; download it again"
    return "it is no pickle of protocol 2 or later, which all published checkpoints are; is the download complete?"


def _read(data: mmap, source: str, *, allow_unknown: bool) -> OfficialModel:
    budget = Budget()
    vocabulary = OfficialVocabulary(budget, allow_unknown=allow_unknown)
    stream = Unpickler(data, 0, len(data), vocabulary, budget)
    network = _generator(stream.load())
    if stream.position < len(data):  # nothing bounds what comes after, and all of it would be hashed
        more = len(data) - stream.position
        raise CheckpointError(f"{more:,} bytes follow the end of the pickle; it is damaged, download it again")
    modules = dict(_modules(network, budget))
    records: dict[str, TensorRecord] = {}
    for path, module in modules.items():
        records.update(_tensor_records(path, module, budget))
        if len(records) > _MAX_TENSORS:
            raise CheckpointError(f"it has more than {_MAX_TENSORS:,} tensors; no checkpoint does")
    family = identify(records)
    reader = TensorReader(data, budget)
    values = PlainValues(reader)
    config = network.attributes().get("cfg")
    warnings = [f"{name} was replaced by an inert placeholder" for name in vocabulary.unknown]
    return OfficialModel(
        source=source,
        family=family,
        init_kwargs=_arguments(network, family, values, warnings),
        attributes={path: _attributes(module, values) for path, module in _with_settings(modules, budget).items()},
        classes={path: module.name.rpartition(".")[2] for path, module in modules.items()},
        config={} if config is None else values.config(config),
        tensors={name: _read_tensor(name, record, reader) for name, record in records.items()},
        warnings=_few(warnings + values.warnings),
        sha256="",
    )


def _few(warnings: list[str]) -> list[str]:
    """Give the first warnings, and how many more there are."""
    more = len(warnings) - _MAX_WARNINGS
    return [*warnings[:_MAX_WARNINGS], f"and {more:,} more warnings of these kinds"] if more > 0 else warnings


def _read_archive(data: mmap, source: str, *, allow_unknown: bool) -> OfficialModel:
    """Read a file of `torch.save`: state dicts and constructor arguments, no modules."""
    found = read_generator(read_archive(data, Budget(), allow_unknown=allow_unknown))
    return OfficialModel(
        source=source,
        family="volumegan",
        init_kwargs=found.arguments,
        attributes={},
        classes={},
        config={},
        tensors=found.tensors,
        warnings=_few(found.warnings),
        sha256="",
    )


def _generator(snapshot: Any) -> Record:
    """Take the averaged generator out of a snapshot."""
    if snapshot == LEGACY_MAGIC:
        raise CheckpointError("it has the layout of torch.save before PyTorch 1.6, which no published generator has")
    if isinstance(snapshot, tuple) and len(snapshot) == 3:
        raise CheckpointError(f"it holds three networks of the TensorFlow StyleGANs; {_SUPPORTED}")
    if not isinstance(snapshot, dict):
        raise CheckpointError(f"it holds no training snapshot (a table with {_NETWORK}); {_SUPPORTED}")
    network = snapshot.get(_NETWORK)
    if isinstance(network, Record) and isinstance(network.attributes().get("_modules"), dict):
        return network
    if network is not None:
        what = printable(network.name) if isinstance(network, Record) else quoted(network)
        raise CheckpointError(f"its {_NETWORK} is {what}, which is no network; {_SUPPORTED}")
    found = listed([key for key in snapshot if isinstance(key, str)], 8)
    if "D" in snapshot and "G" not in snapshot:
        raise CheckpointError(f"it holds a discriminator only ({found}); the generator {_NETWORK} is needed")
    raise CheckpointError(f"it holds {found}, but no network {_NETWORK}, the averaged generator; {_SUPPORTED}")


def _modules(network: Record, budget: Budget) -> Iterator[tuple[str, Record]]:
    """Walk a network: dotted paths and modules, parents before children, in order."""
    waiting: list[tuple[str, Record, int]] = [("", network, 0)]
    count = 0
    while waiting:
        path, module, depth = waiting.pop()
        count += 1
        if count > _MAX_MODULES or depth > _MAX_DEPTH:
            raise CheckpointError("its modules are nested or repeated without end; no checkpoint does that")
        yield path, module
        below = []
        for name, child in _table(module, "_modules", path, budget):
            if not isinstance(child, Record):
                raise CheckpointError(f"module {printable(_join(path, name))} is no module; the file is damaged")
            below.append((_join(path, name), child, depth + 1))
        waiting.extend(reversed(below))


def _tensor_records(path: str, module: Record, budget: Budget) -> Iterator[tuple[str, TensorRecord]]:
    """Give a module's own entries of the state dict: parameters, then persistent buffers."""
    left_out = _names(module.attributes().get("_non_persistent_buffers_set"), budget)
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _table(module, kind, path, budget):
            if kind == "_buffers" and name in left_out:
                continue
            if not isinstance(tensor, TensorRecord):
                raise CheckpointError(f"{printable(_join(path, name))} is no tensor; the file is damaged")
            yield _join(path, name), tensor


def _names(values: Any, budget: Budget) -> frozenset[str]:
    """Give the texts in a set of names; some files have a list there."""
    if not isinstance(values, set | frozenset | list):
        return frozenset()
    budget.spend(len(values))
    return frozenset(value for value in values if isinstance(value, str))


def _table(module: Record, kind: str, path: str, budget: Budget) -> list[tuple[str, Any]]:
    """Give the entries of `_parameters`, `_buffers` or `_modules` that are not None."""
    table = module.attributes().get(kind)
    if table is None:
        return []
    if isinstance(table, dict):
        budget.spend(len(table))
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table):
        raise CheckpointError(f"{kind} of module {printable(path) or 'G_ema'} is no table; the file is damaged")
    return [(name, value) for name, value in table.items() if value is not None]


def _join(path: str, name: str) -> str:
    if not name.isascii() or not name.isprintable() or len(name) > _MAX_NAME:
        raise CheckpointError(f"a part of {printable(path) or 'G_ema'} has a name that is no name; the file is damaged")
    return f"{path}.{name}" if path else name


def _read_tensor(name: str, record: TensorRecord, reader: TensorReader) -> Tensor:
    try:
        tensor = reader.read(record)
    except CheckpointError as error:
        raise CheckpointError(f"tensor {printable(name)}: {error}") from error
    if not torch.isfinite(tensor).all():
        raise CheckpointError(f"tensor {printable(name)} holds NaN or infinity; the weights are unusable")
    return tensor


def _arguments(network: Record, family: str, values: PlainValues, warnings: list[str]) -> dict[str, Any]:
    """Give the root's constructor arguments by name; `cfg` has its own place."""
    state = network.attributes()
    positional = state.get("_init_args") or ()
    names = _EG3D_ARGUMENTS if family == "eg3d" else ()
    bound = {}
    if isinstance(positional, tuple | list):
        count = min(len(names), len(positional))
        bound = dict(zip(names[:count], positional[:count], strict=True))
        if len(positional) > len(names):
            warnings.append(
                f"{len(positional) - len(names)} positional arguments of the network are not named, left out"
            )
    return values.table(bound) | values.table(state.get("_init_kwargs"), skip=("cfg",))


def _attributes(module: Record, values: PlainValues) -> dict[str, Any]:
    """Give a module's plain attributes: what is neither torch's bookkeeping nor the configuration."""
    own = {name: value for name, value in values.entries(module.attributes()) if not name.startswith("_")}
    return values.table(own, skip=("training", "cfg"))


def _with_settings(modules: Mapping[str, Record], budget: Budget) -> dict[str, Record]:
    """Add the objects of the original repositories that modules keep as attributes and that are no modules."""
    found = dict(modules)
    for path, module in modules.items():
        attributes = module.attributes()
        budget.spend(len(attributes))
        for name, value in attributes.items():
            kept = isinstance(value, Record) and isinstance(value.state, dict) and "." not in value.name
            if kept and "_modules" not in value.state and isinstance(name, str):
                found[_join(path, name)] = value
    return found


def identify(names: Mapping[str, Any]) -> str:
    """Tell the family from the names of the state dict.

    Raises:
        CheckpointError: It is no supported generator; the message says what it is, if that is known.
    """

    def has(prefix: str) -> bool:
        return any(name.startswith(prefix) for name in names)

    decoder = "synthesis.tri_plane_decoder."
    if has("backbone.synthesis.") and has("decoder.net."):
        return "eg3d"
    if "synthesis.alpha" in names and "synthesis.fg_nerf.fc_in.weight" in names:
        return "stylenerf"
    if has(f"{decoder}input.") or has(f"{decoder}L0_") or has("backbone.synthesis.input."):
        raise CheckpointError(f"its planes come from a StyleGAN3 network; {_SUPPORTED}, with StyleGAN2 planes")
    if has(f"{decoder}b4.") and "mapping.mean_camera_params" in names:
        return "threedgp"
    if has(f"{decoder}b4.") and "mapping.mean_camera_pose" in names:
        return "epigraf"
    if has("synthesis.model.blocks."):
        raise CheckpointError(f"it is a radiance field without tri-planes, a pure MLP; {_SUPPORTED}")
    if has("synthesis.b4.") or has("synthesis.L0_") or has("synthesis.input."):
        raise CheckpointError(
            f"it is a plain StyleGAN that makes flat pictures: there is nothing 3-D in it to export; {_SUPPORTED}"
        )
    if has("b4.") and not has("mapping.w_avg"):
        raise CheckpointError(f"what it calls {_NETWORK} is a discriminator; {_SUPPORTED}")
    parts = sorted({name.split(".")[0] for name in names})
    some = f"with parts {listed(parts, 6)}" if parts else "without any tensor"
    raise CheckpointError(f"its generator {some} matches no known family completely; {_SUPPORTED}")
