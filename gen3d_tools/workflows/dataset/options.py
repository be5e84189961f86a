"""What `gen3d dataset` makes of each object, and in which form."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gen3d_tools.cameras.conventions import check_fov
from gen3d_tools.errors import InputError
from gen3d_tools.geometry.extraction.lattice import check_range
from gen3d_tools.geometry.formats.point_cloud import check_points
from gen3d_tools.wording import option
from gen3d_tools.workflows.samples.views import check_size

SCENE_FORMATS = ("nerfstudio", "colmap", "blender")
"""Each object is a scene of its own, in its own folder."""
SET_FORMATS = ("eg3d", "3dgp")
"""The pictures of all objects are one set, which a generator trains on."""
FORMATS = ("nerfstudio", "colmap", "eg3d", "3dgp", "blender")
SPLIT_FORMAT = "blender"
"""The one form whose pictures are split for training, validation and test."""
RIGS = ("sphere", "path", "model")
KINDS = ("depth", "depth-float", "normals", "masks", "points", "mesh")
MAX_VIEWS = 1000
LEAST_SPLIT_VIEWS = 3
MAX_SUPERSAMPLE = 4
DEFAULT_PITCH = (-30.0, 75.0)
"""Degrees; cameras stand no lower and no higher unless they are told to."""


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """What is made of each object. Angles in degrees; None = the model's own."""

    file_format: str = "nerfstudio"  # one of `FORMATS`
    views: int = 50
    cameras: str = "sphere"  # one of `RIGS`
    path: str = "orbit"  # of cameras on a path
    pitch_range: tuple[float, float] | None = None  # of cameras on a sphere; None = `DEFAULT_PITCH`, where trusted
    fov: float | None = None
    size: int | None = None  # pixels along a side
    supersample: int = 1  # rays per pixel along each side
    include: tuple[str, ...] = KINDS  # what is written beside pictures and cameras
    resolution: int = 128  # lattice points along each side for the mesh
    points: int = 20_000  # sampled from the mesh
    splats: bool = False  # Gaussians of the surface too

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DatasetOptions":
        """Read what `to_dict` wrote, out of JSON as well."""
        pitch, include = values["pitch_range"], values["include"]
        return cls(**{**values, "pitch_range": None if pitch is None else tuple(pitch), "include": tuple(include)})

    def to_dict(self) -> dict[str, Any]:
        """Give the options as plain values."""
        return asdict(self)

    @property
    def is_set(self) -> bool:
        """Whether the pictures of all objects are one set."""
        return self.file_format in SET_FORMATS

    @property
    def needs_points(self) -> bool:
        """Whether points of the surface are sampled."""
        return "points" in self.include

    @property
    def needs_mesh(self) -> bool:
        """Whether the surface is extracted."""
        return self.splats or self.needs_points or "mesh" in self.include

    def check(self) -> None:
        """Refuse what cannot be made, before any work.

        Raises:
            InputError: A value is unknown or out of its range, or two exclude each other.
        """
        _check_choice("format", self.file_format, FORMATS)
        _check_choice("cameras", self.cameras, RIGS)
        if not 1 <= self.views <= MAX_VIEWS:
            raise InputError(f"views is {self.views}; it must lie in 1..{MAX_VIEWS:,}")
        if self.file_format == SPLIT_FORMAT and self.views < LEAST_SPLIT_VIEWS:
            raise InputError(
                f"views is {self.views}, but {SPLIT_FORMAT} needs pictures for training, validation and test; "
                f"try {option('views', LEAST_SPLIT_VIEWS)}"
            )
        check_size(self.size)
        if not 1 <= self.supersample <= MAX_SUPERSAMPLE:
            raise InputError(f"supersample is {self.supersample}; it must lie in 1..{MAX_SUPERSAMPLE}")
        if self.fov is not None:
            check_fov("the field of view", self.fov)
        self._check_rig()
        for kind in self.include:
            _check_choice("include", kind, KINDS)
        check_range(self.resolution)
        check_points(self.points)
        self._check_used()

    def _check_used(self) -> None:
        """Refuse how finely something is made that is not."""
        if self.points != DatasetOptions.points and not self.needs_points:
            raise InputError(
                f"{self.points:,} points are asked for, and none are written; leave {option('points')} out, or add "
                f"points to {option('include')}"
            )
        if self.resolution != DatasetOptions.resolution and not self.needs_mesh:
            raise InputError(
                f"a surface of {self.resolution} lattice points is asked for, and nothing is made of it; leave "
                f"{option('resolution')} out, or add mesh or points to {option('include')}"
            )

    def _check_rig(self) -> None:
        """Refuse an option that is of another kind of cameras."""
        if self.pitch_range is not None:
            _check_pitch(*self.pitch_range)
            if self.cameras != "sphere":
                raise InputError(
                    f"a range of pitches is for cameras on a sphere; leave {option('pitch_range')} out, or choose "
                    f"{option('cameras', 'sphere')}"
                )
        if self.cameras != "path" and self.path != "orbit":
            raise InputError(f"{self.path[:40]!r} is a path; add {option('cameras', 'path')} to go along it")
        if self.cameras == "model" and self.fov is not None:
            raise InputError(
                f"the model's own cameras have their own lenses; leave {option('fov')} out, or choose other cameras"
            )


def parse_pitch_range(text: str | None) -> tuple[float, float] | None:
    """Read `--pitch-range -10,60`.

    Raises:
        InputError: It is no pair of numbers.
    """
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(f"a range of pitches is two numbers in degrees, such as -10,60; got {text[:40]!r}") from error
    return low, high


def parse_include(text: str | None) -> tuple[str, ...]:
    """Read `--include depth,masks`; everything without it, nothing for "none".

    Raises:
        InputError: Something else is asked for.
    """
    if text is None:
        return KINDS
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if names == ["none"]:
        return ()
    for name in names:
        _check_choice("include", name, KINDS)
    if not names:
        raise InputError(f"nothing is named to be included; choose from {', '.join(KINDS)}, or none")
    return tuple(kind for kind in KINDS if kind in names)


def _check_choice(what: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise InputError(f"{what} is {found[:40]!r}; choose from {', '.join(known)}")


def _check_pitch(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and -90 <= low <= high <= 90):
        raise InputError(
            f"the range of pitches is {low:g},{high:g}; it must rise and lie in -90..90 degrees, such as -10,60"
        )
