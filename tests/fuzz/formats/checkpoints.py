"""Checkpoints of every kind: published pickles, model folders, results of inversions, encoders, states to resume."""

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from zipfile import BadZipFile

import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.checkpoints.directions import (
    DIRECTIONS_NAME,
    DirectionEntry,
    DirectionHeader,
    read_directions,
    write_directions,
)
from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.checkpoints.results import BaseModel, StoredResult, write_result
from gen3d_tools.checkpoints.source import open_source
from gen3d_tools.checkpoints.weight_delta import encode_difference
from gen3d_tools.cli.info import rows
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official import threedgp as official_threedgp
from gen3d_tools.generators.official.load import generator_from_pickle
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.inversion.results.unfinished import Unfinished
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder, load_encoder, save_encoder
from gen3d_tools.workflows.convert import read_class_names
from gen3d_tools.workflows.describe import describe_model
from tests import published_folders
from tests.checkpoints.hostile_files import valid_archives, valid_files
from tests.checkpoints.spoiling import KINDS, ArchiveMutator, Mutator
from tests.fuzz.harness import Files, Format, only
from tests.fuzz.mutators import ANY, BY_SUFFIX, bit_flips
from tests.support.official_models import GOLDEN, eg3d_bytes, recorded_bytes

PICKLE, ARCHIVE = "network.pkl", "network.pth"
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


def spoilt_archive(chance: random.Random, data: bytes) -> bytes:
    """Spoil the pickle in an archive, or the archive around it; what is no archive any more is spoilt as bytes."""
    try:
        return ArchiveMutator(data, chance).any()[1]
    except (ValueError, IndexError, KeyError, TypeError, UnicodeError, OverflowError, StopIteration, OSError):
        return bit_flips(chance, data)
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return bit_flips(chance, data)


STREAM = tuple(_pickle_mutator(kind) for kind in sorted(set(KINDS)))
PICKLES = {"": (*STREAM, *STREAM, *ANY)}


def _read_pickle(folder: Path) -> object:
    path = only(folder)
    try:
        return read_official(path)
    except CheckpointError:
        return read_official(path, allow_unknown=True)


def _generator(path: Path) -> Generator:
    """Few cameras are drawn for 3DGP's mean: they are most of a conversion's time, and no file has a say in it."""
    with mock.patch.object(official_threedgp, "MEAN_CAMERA_SAMPLES", 50):
        return generator_from_pickle(path)


def _convert(folder: Path) -> Generator:
    """What `gen3d convert` does before it writes."""
    generator = _generator(only(folder))
    json.dumps(generator.settings.to_dict(), allow_nan=False)
    return _used(generator)


def _used(generator: Generator) -> Generator:
    """Ask for what every command asks for: a camera, and a sample's field."""
    assert torch.isfinite(generator.default_camera().cam2world).all()
    generator = generator.eval().requires_grad_(False)
    if isinstance(generator, LatentFree):
        if not isinstance(generator, TripoSR):
            generator.fields(generator.no_latents())[0].raw_density(torch.zeros(2, 3))
        return generator
    [field] = generator.fields(generator.latents([0]))
    field.raw_density(torch.zeros(2, 3))
    return generator


def _zip_archives() -> Iterator[tuple[str, Files]]:
    """Weights alone, as torch.save writes them today, under any name."""
    buffer = io.BytesIO()
    torch.save({"G_ema": {"w": torch.ones(3)}}, buffer)
    for name in (PICKLE, "weights.pth"):
        yield f"a zip archive called {name}", {name: buffer.getvalue()}


def _folder_of(write: Callable[[Path], object]) -> Files:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "made"
        write(folder)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
            official.append(_folder_of(_generator(Path(place) / PICKLE).save))
    objects = [_folder_of(published_folders.an_object().save), _folder_of(published_folders.network().save)]
    return [_folder_of(_tiny().save), half, *official, *objects]


def _read_model(folder: Path) -> object:
    rows({**describe_model(folder).to_dict(), "sha256": ""})
    return _used(load_generator(folder, device="cpu"))


def results() -> list[Files]:
    """A result beside its model."""
    base, tuned = _tiny().state_dict(), {name: tensor + 0.01 for name, tensor in _tiny().state_dict().items()}
    camera = Camera.from_spherical(-100, 30, 2.7, fov_y_deg=21).to_eg3d_label()
    scores = {"psnr": 25.0, "perceptual": 0.1}
    report = {
        "photos": ["mug.png"],
        "class_name": "cube",
        "settings": InversionSettings().to_dict(),
        "metrics": {"fit": "good", "stage_one": scores, "stage_two": scores | {"psnr": None}, "strangeness": 1.0},
        "losses": {"stage_one": [2.0, None], "stage_two": []},
        "warnings": ["small"],
        "storage": {"picture_psnr_db": 51.0, "bytes": 100},
    }

    def write(folder: Path) -> None:
        folder.mkdir()
        _tiny().save(folder / "tiny")
        (folder / "result").mkdir()
        stored = StoredResult(
            base=BaseModel(source="tiny", sha256=open_source(folder / "tiny", "tiny").digest()),
            ws=_tiny().latents([3], ["cube"]),
            camera=camera,
            class_index=1,
            difference=encode_difference(base, tuned),
            report=report,
        )
        write_result(folder / "result", stored)

    return [_folder_of(write)]


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


def _directions() -> list[Files]:
    """One of every class, and one of a class with a figure."""
    entries = (
        DirectionEntry(name="sefa-1", layers=(0, 1, 2), deviation=0.5, method="sefa"),
        DirectionEntry(name="size", layers=(3,), deviation=2.0, method="regression", class_index=1, correlation=0.9),
    )
    header = DirectionHeader(model_sha256="0" * 64, num_ws=4, w_dim=8, entries=entries)
    return [_folder_of(lambda folder: write_directions(folder / DIRECTIONS_NAME, header, torch.eye(8)[:2]))]


def _states() -> list[Files]:
    """What an interrupted inversion keeps."""
    state = {"stage": 1, "ws": torch.ones(1, 2, 3), "moments": [(torch.zeros(2), 0.5), None], "fit": {"best": 1.5}}

    return [_folder_of(lambda folder: Unfinished(folder / "result", {"photos": ["a"]}).write(state))]


def _class_names() -> list[Files]:
    return [{"names.txt": b"mug\nchair\ncar\n"}, {"names.json": b'["mug", "chair"]'}]


FORMATS = [
    Format(
        name="pickle-stream",
        corpus=lambda: [{PICKLE: data} for data in valid_files()],
        read=_read_pickle,
        mutators=PICKLES,
        extra=_zip_archives,  # tests/checkpoints/test_hostile.py reads bombs
        refusals=REFUSED,
    ),
    Format(
        name="torch-archive",
        corpus=lambda: [{ARCHIVE: data} for data in valid_archives()],
        read=_read_pickle,
        mutators={"": (spoilt_archive, spoilt_archive, *ANY)},
        refusals=REFUSED,
    ),
    Format(
        name="pickle-model",
        corpus=lambda: [
            {PICKLE: data}
            for data in (
                eg3d_bytes(),
                recorded_bytes("epigraf"),
                recorded_bytes("threedgp"),
                (GOLDEN / "stylenerf" / "tiny_snapshot.pkl").read_bytes(),
            )
        ],
        read=_convert,
        mutators=PICKLES,
        refusals=REFUSED,
    ),
    Format(
        name="published-folder",
        corpus=lambda: [published_folders.files()],
        read=_read_model,
        mutators={".yaml": BY_SUFFIX[".txt"], ".ckpt": (spoilt_archive, spoilt_archive, *ANY), "": ANY},
        refusals=REFUSED,
    ),
    Format(
        name="archive-model",
        corpus=lambda: [{ARCHIVE: (GOLDEN / "volumegan" / "official_tiny.pth").read_bytes()}],
        read=_convert,
        mutators={"": (spoilt_archive, spoilt_archive, *ANY)},
        refusals=REFUSED,
    ),
    Format(name="model-folder", corpus=_model_folders, read=_read_model, refusals=REFUSED),
    Format(name="result-folder", corpus=results, read=_read_result, refusals=REFUSED),
    Format(name="encoder", corpus=_encoders, read=load_encoder, refusals=REFUSED),
    Format(name="directions", corpus=_directions, read=lambda folder: read_directions(only(folder)), refusals=REFUSED),
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
