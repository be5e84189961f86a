"""A network that a person has, as an .onnx file, says what of a photo is object: ISNet, U2Net and their kin.

They take one picture [1, 3, side, side] and answer with one map [1, 1, side, side], whatever else they answer with.
ISNet (side 1024) wants colours less one half, U2Net (side 320) those of ImageNet; the side tells them apart.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.errors import CheckpointError, MissingDependencyError
from gen3d_tools.printable import printable

_LARGE = 512  # pixels of a side from which on it is an ISNet
_ISNET_SIDE, _U2NET_MEAN, _U2NET_STD = 1024, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MAX_SIDE = 4096
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_NEEDED = "needed: one picture [1, 3, side, side] in, a map [1, 1, side, side] out, as ISNet and U2Net have"


def mask_by_network(rgb: Float[Tensor, "3 h w"], path: Path) -> Float[Tensor, "1 h w"]:
    """Ask a salient-object network.

    Args:
        rgb: The photo, in [0, 1].
        path: The .onnx file.

    Returns:
        The mask in [0, 1], stretched so that it reaches both, as is usual with these networks.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        CheckpointError: The file is broken, or the network takes or gives something else.
    """
    session = _session(path)
    name, side, kind = _input(session, path)
    small = torch.nn.functional.interpolate(rgb[None].cpu().float(), (side, side), mode="bilinear", antialias=True)
    mean, std = ((0.5,) * 3, (1.0,) * 3) if side >= _LARGE else (_U2NET_MEAN, _U2NET_STD)
    scaled = (small - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    try:
        found = session.run(None, {name: scaled.numpy().astype(kind)})[0]
    except Exception as error:  # whatever the runtime meets in the file
        raise CheckpointError(f"{path} does not run ({_brief(error)}); {_NEEDED}") from error
    shape = getattr(found, "shape", None)
    if shape is None or len(shape) != 4 or shape[:2] != (1, 1) or not np.isfinite(found).all():
        raise CheckpointError(f"{path} answers with {list(shape or [])}; {_NEEDED}")
    low, high = float(found.min()), float(found.max())
    mask = torch.from_numpy((found[0].astype(np.float32) - low) / max(high - low, 1e-6))
    size = (rgb.shape[-2], rgb.shape[-1])
    resized = torch.nn.functional.interpolate(mask[None], size, mode="bilinear", antialias=True)[0]
    return resized.clamp(0, 1).to(rgb)


def _session(path: Path) -> Any:
    """Load the network on the CPU, without a word on stderr."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f'{path} needs onnxruntime; run: pip install "gen3d-tools[photo]", or give a mask instead'
        ) from error
    check_no_pointer(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a class of its own for each of its failures
        raise CheckpointError(f"{path} is no network that loads ({_brief(error)}); {_NEEDED}") from error


def _input(session: Any, path: Path) -> tuple[str, int, Any]:
    """Give the name of the one input, the side of its picture, and its numbers' type."""
    inputs = session.get_inputs()
    described = ", ".join(f"{printable(one.name, 40)} {one.type} {list(one.shape)}" for one in inputs)
    fits = len(inputs) == 1 and inputs[0].type in _TYPES and len(inputs[0].shape) == 4
    if fits:
        channels, *sides = inputs[0].shape[1:]
        known = [one for one in sides if isinstance(one, int)]
        fits = channels == 3 and len(set(known)) <= 1 and all(8 <= one <= _MAX_SIDE for one in known)
    if not fits:
        raise CheckpointError(f"{path} takes {described or 'nothing'}; {_NEEDED}")
    return inputs[0].name, known[0] if known else _ISNET_SIDE, _TYPES[inputs[0].type]


def _brief(error: Exception) -> str:
    return printable(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, 120)
