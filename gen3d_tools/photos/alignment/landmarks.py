"""Five points of a face, in pixels of the photo: x to the right, y down; left and right are the picture's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.checks import one_line, plain_number
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.texts import parse_json

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
"""Eye centres, tip of the nose, corners of the mouth."""

SMALL_FACE = 64  # pixels of a face's width below which there is little to see
_SAME = 1.0  # pixels: points that are nearer than this are one
_MAX_BYTES = 2**20
_WANTED = "five points: left eye, right eye, nose, left and right corner of the mouth (left and right in the picture)"


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Five points of one face.

    Raises:
        InputError: Two of them are one, one is no number, or left and right are exchanged.
    """

    points: Float[Tensor, "5 2"]
    """Places of `POINTS` in pixels."""

    def __post_init__(self) -> None:
        if not bool(torch.isfinite(self.points).all()):
            raise InputError(f"a landmark is no number; give {_WANTED}")
        for first in range(len(POINTS)):
            for second in range(first):
                if float((self.points[first] - self.points[second]).norm()) < _SAME:
                    raise InputError(
                        f"the landmarks {POINTS[second]} and {POINTS[first]} are the same point; give {_WANTED}"
                    )
        eyes, down = self.eyes, self.mouth_middle - self.eye_middle
        if float(eyes[0] * down[1] - eyes[1] * down[0]) <= 0:
            raise InputError("the landmarks are mirrored: left is the picture's left; exchange left and right")

    @property
    def eyes(self) -> Float[Tensor, " 2"]:
        """From the left eye to the right one."""
        return self.points[1] - self.points[0]

    @property
    def eye_middle(self) -> Float[Tensor, " 2"]:
        """Between the eyes."""
        return self.points[:2].mean(dim=0)

    @property
    def mouth_middle(self) -> Float[Tensor, " 2"]:
        """Between the corners of the mouth."""
        return self.points[3:].mean(dim=0)

    @property
    def face_width(self) -> float:
        """About the width of the face in pixels: twice the distance of the eyes, or what the height asks for."""
        return max(2.0 * float(self.eyes.norm()), 1.8 * float((self.mouth_middle - self.eye_middle).norm()))

    @property
    def roll_deg(self) -> float:
        """How far the line through the eyes is turned clockwise, degrees."""
        return math.degrees(math.atan2(float(self.eyes[1]), float(self.eyes[0])))

    def scaled(self, factor: float) -> "Landmarks":
        """Give the same points in a photo that was enlarged by `factor`."""
        return Landmarks(self.points * factor)

    def to_dict(self) -> dict[str, list[float]]:
        """Give the points by their names."""
        return {name: [round(v, 2) for v in place] for name, place in zip(POINTS, self.points.tolist(), strict=True)}


def read_landmarks(text: str, *, size: tuple[int, int], name: str) -> Landmarks:
    """Read `--landmarks`: ten numbers as typed, or a JSON file.

    A file holds five pairs, or a table with "points" (pairs, or pairs by their names) and perhaps "size", width and
    height of the photo the points belong to: what `gen3d align` writes.

    Args:
        text: Numbers x,y five times over, or the name of a file.
        size: Width and height of the photo, pixels.
        name: Of the photo.

    Raises:
        NotFoundError: It looks like a file, and there is none.
        InputError: It is neither, belongs to a photo of another size, or its points cannot be those of a face.
    """
    numbers = _typed(text)
    if numbers is None:
        numbers = _from_file(Path(text), size, name)
    points = torch.tensor(numbers, dtype=torch.float32).reshape(5, 2)
    _check_inside(points, size, name)
    return Landmarks(points)


def _check_inside(points: Float[Tensor, "5 2"], size: tuple[int, int], name: str) -> None:
    """Refuse points beyond the photo's edges."""
    for what, (x, y) in zip(POINTS, points.tolist(), strict=True):
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise InputError(
                f"the landmark {what} lies at {x:g}, {y:g}, outside {name} of {size[0]} x {size[1]} pixels; landmarks "
                "are pixels of this photo, upright"
            )


def _typed(text: str) -> list[float] | None:
    """Ten numbers; None if it must be a file's name."""
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    if len(numbers) != 10:
        raise InputError(f"landmarks is {one_line(text)!r}; write ten numbers x,y for {_WANTED}, or a file's name")
    return numbers


def _from_file(path: Path, size: tuple[int, int], name: str) -> list[float]:
    if not path.is_file():
        raise NotFoundError(f"no landmarks file at {path}; give ten numbers x,y or a JSON file with {_WANTED}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"it has more than {_MAX_BYTES >> 20} MiB, five points need less")
        content = parse_json(path.read_bytes())
        if isinstance(content, dict):
            _check_size(content.get("size"), size, name)
            content = content.get("points")
        return _ten_numbers(content)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _check_size(stored: Any, size: tuple[int, int], name: str) -> None:
    """Refuse points of another photo."""
    if stored is None:
        return
    if not isinstance(stored, list) or len(stored) != 2:
        raise InputError("size is no pair of width and height")
    width, height = (plain_number("size", one) for one in stored)
    if (width, height) != size:
        raise InputError(
            f"its points belong to a photo of {width:g} x {height:g} pixels, {name} has {size[0]} x {size[1]}; "
            "give the landmarks of this photo"
        )


def _ten_numbers(content: Any) -> list[float]:
    """Take five pairs out of a list of pairs, of numbers, or a table by names."""
    if isinstance(content, dict):
        missing = [one for one in POINTS if one not in content]
        if missing:
            raise InputError(f"it lacks {', '.join(missing)}; needed are {_WANTED}")
        content = [content[one] for one in POINTS]
    if not isinstance(content, list):
        raise InputError(f"it holds no points; needed are {_WANTED}")
    flat: Sequence[Any] = [one for row in content for one in (row if isinstance(row, list) else [row])]
    if len(flat) != 10:
        raise InputError(f"it holds {len(flat)} numbers, not ten; needed are {_WANTED}")
    return [plain_number("points", one) for one in flat]
