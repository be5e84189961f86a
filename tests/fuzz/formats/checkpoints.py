"""Checkpoints of every kind: published pickles, model folders, results of inversions, encoders, states to resume."""

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.cli.info import rows
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official.load import generator_from_pickle
from gen3d_tools.inversion.results.unfinished import Unfinished
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder, load_encoder, save_encoder
from gen3d_tools.workflows.convert import read_class_names
from gen3d_tools.workflows.describe import describe_model
from tests.checkpoints.hostile_files import KINDS, Mutator, bombs, valid_files
from tests.fuzz.harness import Files, Format, only
from tests.fuzz.mutators import ANY, BY_SUFFIX, bit_flips
from tests.official_models import eg3d_bytes, recorded_bytes

PICKLE = "network.pkl"
REFUSED = (CheckpointError, NotFoundError)


def _pickle_mutator(kind: str) -> Callable[[random.Random, bytes], bytes]:
    """Spoil a pickle as a stream of operations; what is no stream any more is spoilt as bytes."""

    def mutate(chance: random.Random, data: bytes) -> bytes:
        try:
            return getattr(Mutator(data, chance), kind)()
        except (ValueError, IndexError, KeyError, TypeError, UnicodeError, OverflowError):
            return bit_flips(chance, data)

    mutate.__name__ = kind
    return mutate


STREAM = tuple(_pickle_mutator(kind) for kind in sorted(set(KINDS)))
PICKLES = {"": (*STREAM, *STREAM, *ANY)}


def _read_pickle(folder: Path) -> object:
    path = only(folder)
    try:
        return read_official(path)
    except CheckpointError:
        return read_official(path, allow_unknown=True)


def _convert(folder: Path) -> Generator:
    """What `gen3d convert` does before it writes."""
    generator = generator_from_pickle(only(folder))
    json.dumps(generator.settings.to_dict(), allow_nan=False)
    return _used(generator)


def _used(generator: Generator) -> Generator:
    """Ask for what every command asks for first."""
    assert torch.isfinite(generator.default_camera().cam2world).all()
    generator.class_indices([0, 1])
    return generator


def _zip_archives() -> Iterator[tuple[str, Files]]:
    """Weights alone, as torch.save writes them today, under any name."""
    buffer = io.BytesIO()
    torch.save({"G_ema": {"w": torch.ones(3)}}, buffer)
    for name in (PICKLE, "weights.pth"):
        yield f"a zip archive called {name}", {name: buffer.getvalue()}


def _folder_of(write: Callable[[Path], object], below: str = "") -> Files:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "made"
        write(folder)
        return {f"{below}{path.name}": path.read_bytes() for path in folder.iterdir() if path.suffix != ".png"}


@cache
def _tiny() -> Generator:
    from tests.conftest import make_tiny_generator

    return make_tiny_generator()


def _model_folders() -> list[Files]:
    half = _folder_of(lambda folder: _tiny().save(folder, dtype=torch.float16))
    official = []
    for data in (eg3d_bytes(), recorded_bytes("epigraf", classes=True), recorded_bytes("threedgp")):
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / PICKLE).write_bytes(data)
            official.append(_folder_of(generator_from_pickle(Path(place) / PICKLE).save))
    return [_folder_of(_tiny().save), half, *official]


def _read_model(folder: Path) -> object:
    rows({**describe_model(folder).to_dict(), "sha256": ""})
    return _used(load_generator(folder, device="cpu"))


def _results() -> list[Files]:
    """A result beside its model."""
    from tests.inversion.test_storage import invented_result

    from gen3d_tools.inversion.results.storage import save_result

    with tempfile.TemporaryDirectory() as place:
        _tiny().save(Path(place) / "tiny")
        save_result(invented_result(Path(place) / "tiny"), Path(place) / "result")
        return [
            {
                f"{folder}/{path.name}": path.read_bytes()
                for folder in ("result", "tiny")
                for path in (Path(place) / folder).iterdir()
                if path.suffix != ".png"
            }
        ]


def _read_result(folder: Path) -> object:
    rows({**describe_model(folder / "result").to_dict(), "sha256": ""})
    return _used(load_generator(folder / "result", device="cpu"))


def _encoders() -> list[Files]:
    sizes: dict[str, Any] = {"image_size": 8, "widths": (4, 4), "refine_blocks": (1, 1), "hidden": 8}
    config = EncoderConfig(
        class_names=("ball", "cube"), z_dim=8, pitch_min_deg=-10, pitch_max_deg=60, yaw_bins=4, neck_channels=4, **sizes
    )

    def write(folder: Path) -> None:
        _tiny().save(folder)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_encoder(PhotoEncoder(config), folder)

    return [_folder_of(write)]


def _states() -> list[Files]:
    state = {"stage": 1, "ws": torch.ones(1, 2, 3), "moments": [(torch.zeros(2), 0.5), None], "fit": {"best": 1.5}}

    def write(folder: Path) -> None:
        folder.mkdir()
        unfinished = Unfinished(folder / "result", {"photos": ["a"]})
        unfinished.write(state)
        unfinished.path.rename(folder / unfinished.path.name)
        unfinished.folder.rmdir()

    return [{f".result.unfinished/{name}": data for name, data in _folder_of(write).items()}]


def _class_names() -> list[Files]:
    return [{"names.txt": b"mug\nchair\ncar\n"}, {"names.json": b'["mug", "chair"]'}]


FORMATS = [
    Format(
        name="pickle-stream",
        corpus=lambda: [{PICKLE: data} for data in valid_files()],
        read=_read_pickle,
        mutators=PICKLES,
        extra=lambda: [*_zip_archives(), *((what, {PICKLE: data}) for what, data in bombs())],
        refusals=REFUSED,
    ),
    Format(
        name="pickle-model",
        corpus=lambda: [
            {PICKLE: data} for data in (eg3d_bytes(), recorded_bytes("epigraf"), recorded_bytes("threedgp"))
        ],
        read=_convert,
        mutators=PICKLES,
        refusals=REFUSED,
    ),
    Format(name="model-folder", corpus=_model_folders, read=_read_model, refusals=REFUSED),
    Format(name="result-folder", corpus=_results, read=_read_result, refusals=REFUSED),
    Format(name="encoder", corpus=_encoders, read=load_encoder, refusals=REFUSED),
    Format(
        name="inversion-state",
        corpus=_states,
        read=lambda folder: Unfinished(folder / "result", {"photos": ["a"]}).read(),
        mutators=BY_SUFFIX,
        refusals=(*REFUSED, InputError),
    ),
    Format(
        name="class-names",
        corpus=_class_names,
        read=lambda folder: read_class_names(only(folder)),
        refusals=(InputError,),
    ),
]
