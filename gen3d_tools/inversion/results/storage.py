"""An inversion on disk: a folder that loads as a model, with the pictures that show what was found.

The weights that tuning changed are stored as coarsely as pictures allow: levels are added until a picture of the
object from the stored weights and one from the tuned weights cannot be prediction apart (`ENOUGH_PSNR`).
"""

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.checkpoints.results import BaseModel, StoredResult, write_result
from gen3d_tools.checkpoints.source import Source
from gen3d_tools.checkpoints.weight_delta import Difference, add_difference, encode_difference
from gen3d_tools.errors import InputError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.generators.source import find_source, reference
from gen3d_tools.inversion.results.overview import around, look, overview
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.media.images import write_image
from gen3d_tools.metrics.pictures import psnr

PHOTO_NAME = "photo.png"
OVERVIEW_NAME = "overview.png"
ENOUGH_PSNR = 50.0  # dB; at 8 bits per channel 48 dB is the mean error of rounding by one
_LEVELS = (15, 31, 63, 127)
_PROBE_TURNS = (0.0, 120.0, 240.0)  # degrees from the photo's camera
_PROBE_SIZE = 128  # pixels


def save_result(result: InversionResult, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a result folder, whole or not at all; `load_generator` reads it.

    Args:
        result: What an inversion found. Its base generator must come from `load_generator`.
        folder: Where to.
        overwrite: Replace an earlier output.

    Raises:
        InputError: The base generator is nowhere on disk, or is a result itself.
        Gen3DError: The folder cannot be written.
    """
    folder = Path(folder)
    base = check_base(result.base)
    with atomic_path(folder, overwrite=overwrite) as temporary:
        temporary.mkdir(parents=True)
        write_files(result, temporary, base_reference(base))


def write_files(result: InversionResult, folder: Path, base: BaseModel) -> None:
    """Write a result's files into an existing folder."""
    difference, fidelity = compress(result)
    report = {
        "photos": [Path(photo.source).name for photo in result.photos],
        "class_name": result.class_name,
        "settings": result.settings.to_dict(),
        "metrics": result.metrics,
        "losses": result.history,
        "warnings": [*result.warnings, *(line for photo in result.photos for line in photo.warnings)],
        "storage": {"picture_psnr_db": fidelity, "bytes": difference.size_bytes},
    }
    stored = StoredResult(
        base=base,
        ws=result.ws.detach().cpu().float(),
        camera=result.camera.to_eg3d_label().detach().cpu(),
        class_index=result.class_index,
        difference=difference,
        report=plain(report),
    )
    write_result(folder, stored)
    for index, photo in enumerate(result.photos):
        name = PHOTO_NAME if index == 0 else f"photo-{index + 1}.png"
        write_image(folder / name, photo.rgb)
    write_image(folder / OVERVIEW_NAME, overview(result))


def check_base(generator: Generator) -> Source:
    """Find the files of the generator that a result will refer to.

    Raises:
        InputError: It was built in memory, or is a result itself.
    """
    if generator.pivot is not None:
        raise InputError(
            f"{generator.source or 'the generator'} is a result of an inversion already; invert with the model it "
            "was tuned from"
        )
    if not generator.source:
        raise InputError(
            "this generator was not loaded from disk, so a result cannot refer to it; save it, and load it with "
            "load_generator before inverting"
        )
    return find_source(generator.source)


def base_reference(base: Source) -> BaseModel:
    """Say which model a result was tuned from: its name, and the digest by which it is known again."""
    return reference(base)


@torch.no_grad()
def compress(result: InversionResult) -> tuple[Difference, float]:
    """Store the difference of the weights as coarsely as pictures of the object allow.

    Returns:
        The difference, and the PSNR in dB of pictures from the stored weights against those from the tuned ones.
    """
    before, after = result.base.state_dict(), result.generator.state_dict()
    cameras = around(Pivot(result.ws, result.camera, result.class_index), result.base.settings, _PROBE_TURNS)
    wanted = look(result.field, cameras, result.generator.settings, _PROBE_SIZE).rgb
    for levels in _LEVELS:
        difference = encode_difference(before, after, levels=levels)
        decoded = copy.deepcopy(result.base)
        add_difference(decoded.state_dict(), difference, "the difference")
        [field] = decoded.fields(result.ws.to(decoded.device))
        fidelity = psnr(look(field, cameras, decoded.settings, _PROBE_SIZE).rgb, wanted)
        if fidelity >= ENOUGH_PSNR:
            break
    return difference, fidelity


def plain(value: Any) -> Any:
    """Turn what a report holds into JSON values; numbers that JSON lacks (infinity, NaN) become None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return plain(value.item()) if isinstance(value, Tensor) and value.numel() == 1 else str(value)
