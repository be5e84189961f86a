"""What may go into a camera: numbers of any kind become float32 tensors, anything else one clear line."""

import logging
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.conventions import LARGEST
from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable

logger = logging.getLogger(__name__)

Numbers = float | Sequence[float] | np.ndarray | Tensor
"""What the named constructors take: one number, several, an array or a tensor. All broadcast."""

MAX_SEED = 2**32 - 1
ROTATION_TOLERANCE = 1e-3  # largest accepted entry of |R^T R - 1|


def common_device(*values: object) -> torch.device:
    """The accelerator if any argument lives on one, else the CPU."""
    devices = [value.device for value in values if isinstance(value, Tensor)]
    return next((device for device in devices if device.type != "cpu"), torch.device("cpu"))


def float_tensor(name: str, value: object, device: torch.device | str = "cpu") -> Float[Tensor, "..."]:
    """`value` as a finite float32 tensor; `name` is what the error calls it.

    Raises:
        InputError: Not numbers, or not finite.
    """
    try:
        tensor = torch.as_tensor(value, dtype=torch.float32, device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"{name} must be numbers, got {one_line(value)}") from error
    finite = tensor.isfinite()
    if not finite.all():
        bad = tensor[~finite][0].item()
        raise InputError(f"{name} must be finite, got {'nan' if math.isnan(bad) else f'{bad:+g}'}")
    return tensor


def vectors(name: str, value: object, device: torch.device | str = "cpu") -> Float[Tensor, "*b 3"]:
    """`value` as points or directions over any leading axes."""
    tensor = float_tensor(name, value, device)
    if tensor.ndim == 0 or tensor.shape[-1] != 3:
        raise InputError(f"{name} must be x, y, z (shape [..., 3]), got shape {list(tensor.shape)}")
    return tensor


def matrix_tensor(name: str, value: object, side: int) -> Float[Tensor, "*b side side"]:
    """`value`, a tensor, as square float32 matrices over any leading axes."""
    if not isinstance(value, Tensor):
        raise InputError(f"{name} must be a tensor of shape [..., {side}, {side}], got {type(value).__name__}")
    if value.ndim < 2 or value.shape[-2:] != (side, side):
        raise InputError(f"{name} must be a tensor of shape [..., {side}, {side}], got {list(value.shape)}")
    return float_tensor(name, value, value.device)


def broadcast(**tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one common shape; the error lists each one's name and shape."""
    try:
        common = np.broadcast_shapes(*(tensor.shape for tensor in tensors.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise InputError(f"shapes do not fit together: {shapes}") from error
    return tuple(tensor.expand(common) for tensor in tensors.values())


def check_rigid(cam2world: Float[Tensor, "*b 4 4"]) -> None:
    """Refuse matrices that scale, shear, mirror or are transposed."""
    rotation = cam2world[..., :3, :3]
    error = (rotation.mT @ rotation - torch.eye(3, device=cam2world.device)).abs()
    if not (error <= ROTATION_TOLERANCE).all():
        raise InputError(
            f"cam2world's rotation part is not orthonormal (off by {error.max().item():.3g}, up to "
            f"{ROTATION_TOLERANCE:g} is accepted); remove its scale or shear"
        )
    if (torch.linalg.det(rotation) < 0).any():
        raise InputError("cam2world mirrors (determinant -1), but a camera's x, y, z axes are right-handed; flip one")
    _check_last_row("cam2world", cam2world)


def without_scale(cam2world: Float[Tensor, "*b 4 4"], where: str) -> Float[Tensor, "*b 4 4"]:
    """Take a uniform scale out of the axes, as programs that resize their scene leave it there; positions stay.

    Args:
        cam2world: As a file has it, in any camera axes.
        where: Names the file in the warning.

    Returns:
        What is no rotation even then, unchanged: `check_rigid` says what is wrong with it.
    """
    axes = cam2world[..., :3, :3]
    scale = torch.linalg.det(axes.double()).abs().pow(1 / 3).to(axes.dtype)[..., None, None]
    turned = axes / scale
    error = (turned.mT @ turned - torch.eye(3, device=axes.device)).abs().amax(dim=(-2, -1), keepdim=True)
    scaled = ((scale - 1).abs() > ROTATION_TOLERANCE / 2) & (error <= ROTATION_TOLERANCE)
    if not scaled.any():
        return cam2world
    first = scale[scaled].flatten()[0].item()
    logger.warning("%s: the axes of its cameras are scaled by %.4g; the scale was taken out.", where, first)
    rigid = cam2world.clone()
    rigid[..., :3, :3] = torch.where(scaled, turned, axes)
    return rigid


def check_lens(intrinsics: Float[Tensor, "*b 3 3"]) -> None:
    """Refuse focal lengths that are not positive, and transposed matrices."""
    focal = torch.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]])
    if not (focal > 0).all():
        raise InputError(f"focal lengths must be positive, got {focal.min().item():g}")
    _check_last_row("intrinsics", intrinsics)


def _check_last_row(name: str, matrix: Float[Tensor, "*b side side"]) -> None:
    wanted = torch.eye(matrix.shape[-1], device=matrix.device)[-1]
    if ((matrix[..., -1, :] - wanted).abs() > ROTATION_TOLERANCE).any():
        row = " ".join(f"{number:g}" for number in wanted.tolist())
        raise InputError(f"the last row of {name} must be {row}; is the matrix transposed?")


def plain_numbers(what: str, value: object, count: int) -> list[float]:
    """A list of `count` finite numbers out of a file; `what` is how the error calls it.

    Raises:
        InputError: Not a list, another length, or something that is not a finite number.
    """
    if not isinstance(value, list):
        raise InputError(f"{what} must be {count} numbers, got {one_line(value)}")
    if len(value) != count:
        raise InputError(f"{what} must be {count} numbers, got {len(value)}")
    return [plain_number(what, number) for number in value]


def plain_number(what: str, value: object) -> float:
    """One finite number out of a file.

    Raises:
        InputError: Anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        found = repr(value) if isinstance(value, str) else value  # else "24" would seem to be one
        raise InputError(f"{what} must hold finite numbers, got {one_line(found)}")
    return float(value)


def check_frames(frames: int) -> None:
    """Refuse a number of frames below one."""
    if frames < 1:
        raise InputError(f"frames must be at least 1, got {frames}")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds numpy's `RandomState` cannot take.

    Raises:
        InputError: A seed outside 0 .. 2**32 - 1.
    """
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise InputError(f"a seed must lie between 0 and {MAX_SEED}, got {seed}")


def one_line(value: object) -> str:
    """A short one-line rendering for messages."""
    return printable(" ".join(str(value).split()))
