"""What `gen3d mesh` is asked for: a surface, how it is stored, and the files that makes for each sample."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.color.texture import check_texture_size
from gen3d_tools.geometry.color.view_colors import ColorSource, check_color_source
from gen3d_tools.geometry.extraction.fusion import SurfaceSource, check_surface_source
from gen3d_tools.geometry.extraction.isosurface import check_iso_level
from gen3d_tools.geometry.extraction.lattice import check_range
from gen3d_tools.geometry.formats.density_grid import DENSITY_SUFFIXES, check_density_suffix
from gen3d_tools.geometry.formats.export import SUFFIXES, TEXTURE_SUFFIXES, check_mesh_suffix, mesh_files
from gen3d_tools.geometry.formats.placement import Placement
from gen3d_tools.geometry.formats.point_cloud import check_points
from gen3d_tools.geometry.processing.cleanup import check_keep
from gen3d_tools.geometry.processing.decimation import check_faces
from gen3d_tools.geometry.processing.smoothing import check_rounds
from gen3d_tools.wording import choose, option
from gen3d_tools.workflows.samples.selection import Sample

DEFAULT_FORMAT = "glb"
AUTO_LEVEL = "auto"
SHEET_NAME = "meshes.png"
NOTES_FOLDER = ".unfinished"
_TEXELS_PER_FACE, _FEW_FACES = 20, 10_000
"""Under a texture a face need not be smaller than this; and so many faces are no burden anyway."""


@dataclass(frozen=True, kw_only=True)
class MeshOptions:
    """What surface is taken from a field, and how it is coloured."""

    surface: SurfaceSource = "field"  # a level of the density, or fused from rendered views
    resolution: int = 256  # lattice points along each side of the box, 8 to 1024
    level: float | None = None  # density at the surface; None = chosen for each field
    keep: float = 0.02  # smallest detached part, as a share of the largest part's volume
    keep_background: bool = False  # leave sheets, floaters and walls of the box in
    faces: int | None = None  # most faces after decimation; None = all, or under a texture one per 20 texels
    smooth: int = 0  # rounds of Taubin smoothing
    watertight: bool = False  # close holes
    colors: bool = True
    texture: int | None = None  # side of a colour texture in texels, a power of two; None = vertex colours
    color_from: ColorSource = "views"  # what cameras see, rays onto the surface, or the field's colour at each point

    @property
    def most_faces(self) -> int | None:
        """How many faces are left after decimation; None where there is none.

        A texture carries the detail, and laying 400,000 faces flat takes longer than everything else.
        """
        if self.faces is None and self.texture is not None:
            return max(_FEW_FACES, self.texture**2 // _TEXELS_PER_FACE)
        return self.faces

    def check(self) -> None:
        """Refuse what cannot be meshed, before any work.

        Raises:
            InputError: A value is out of its range, or two exclude each other.
            MissingDependencyError: The surface needs open3d, which cannot be imported.
            OutOfMemoryError: The texture does not fit; whether the surface does depends on the field.
        """
        check_surface_source(self.surface)
        if self.surface == "fusion" and self.level is not None:
            raise InputError("a surface fused from views has no level; leave out --level, or --surface fusion")
        check_range(self.resolution)
        check_keep(self.keep)
        if self.level is not None:
            check_iso_level(self.level)
        check_rounds(self.smooth)
        check_color_source(self.color_from)
        if self.faces is not None:
            check_faces(self.faces)
        if self.texture is not None:
            check_texture_size(self.texture)
            if not self.colors:
                raise InputError("a texture holds colours; leave out --texture, or --no-color")
        if not self.colors and self.color_from != MeshOptions.color_from:
            none = choose(typed="--no-color", python="colors=False")
            raise InputError(
                f"colours from {self.color_from} are asked for, and none at all; leave out {option('color_from')}, or "
                f"{none}"
            )

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f"{self.resolution}³ lattice points", f"level {level_name(self.level)}"]
        if self.surface == "fusion":
            parts = [f"{self.resolution}³ voxels fused from views"]
        if self.most_faces is not None:
            parts.append(f"at most {self.most_faces:,} faces")
        if self.smooth:
            parts.append(f"{self.smooth} rounds of smoothing")
        if self.watertight:
            parts.append("made watertight")
        if self.texture is not None:
            parts.append(f"texture of {self.texture} x {self.texture}")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """In which files a mesh leaves, and how large and which way up."""

    formats: tuple[str, ...] | None = None  # suffixes without the dot; None = the output file's, or .glb
    up: str = "y"  # upward axis of the files, "y" or "z"
    scale: float | None = None  # length of the longest side, metres; None = world units
    unit: str | None = None  # of the files' numbers where the format leaves it open; None = mm for printers, else m
    center: bool = False  # middle of the bounding box at the origin
    ground: bool = False  # stand on y = 0
    points: int | None = None  # size of a point cloud, written beside the mesh
    preview: bool = False  # a strip and a film of the mesh beside the field
    report: bool = False  # how well mesh and field agree, and the mesh's health, as JSON

    @property
    def placement(self) -> Placement:
        """How meshes and point clouds stand in their files."""
        return Placement(up=self.up, scale=self.scale, unit=self.unit, center=self.center, ground=self.ground)

    def check(self) -> None:
        """Refuse what cannot be written, before any work.

        Raises:
            InputError: A value is out of its range, or a format is unknown.
        """
        self.placement.check()
        if self.points is not None:
            check_points(self.points)
        for name in self.formats or ():
            if f".{name}" not in (*SUFFIXES, *DENSITY_SUFFIXES):
                known = ", ".join(suffix[1:] for suffix in (*SUFFIXES, *DENSITY_SUFFIXES))
                raise InputError(f"format is {name[:20]!r}, it must be one or several of {known}; try glb,obj")
            check_suffix(Path(f"mesh.{name}"))


def check_suffix(path: Path) -> None:
    """Say before any work is done whether something of this suffix can be written: a mesh, or a density grid.

    Raises:
        InputError: It cannot.
        MissingDependencyError: The format needs a package that is not installed.
    """
    if path.suffix.lower() in DENSITY_SUFFIXES:
        check_density_suffix(path)
    else:
        check_mesh_suffix(path)


def parse_level(text: str) -> float | None:
    """Read `--level`: a density, or "auto" (None).

    Raises:
        InputError: It is neither.
    """
    if text.strip().lower() == AUTO_LEVEL:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"level is {text[:40]!r}; it must be a density such as 10, or {AUTO_LEVEL}") from None


def parse_color_source(text: str) -> ColorSource:
    """Read `--color-from`.

    Raises:
        InputError: It is no source of colours.
    """
    name = text.strip().lower()
    check_color_source(name)
    return cast(ColorSource, name)


def parse_surface(text: str) -> SurfaceSource:
    """Read `--surface`.

    Raises:
        InputError: It is no source of surfaces.
        MissingDependencyError: It needs open3d, which cannot be imported.
    """
    name = text.strip().lower()
    check_surface_source(name)
    return cast(SurfaceSource, name)


def level_name(level: float | None) -> str:
    """Write a level as `parse_level` reads it."""
    return AUTO_LEVEL if level is None else f"{level:g}"


def parse_formats(text: str | None) -> tuple[str, ...] | None:
    """Read `--format glb,obj`; dots and capitals are forgiven, doubles count once.

    Raises:
        InputError: There is nothing in it.
    """
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip().removeprefix(".").lower() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError(f"no format in {text!r}; name some, such as glb,obj")
    return names


@dataclass(frozen=True)
class Files:
    """Where the outputs of one sample go."""

    sample: Sample
    meshes: tuple[Path, ...]
    grids: tuple[Path, ...]
    points: Path | None
    strip: Path | None
    film: Path | None
    report: Path | None

    @property
    def all(self) -> list[Path]:
        """Every file that is asked for."""
        extra = (self.points, self.report, self.strip, self.film)
        return [*self.meshes, *self.grids, *(path for path in extra if path is not None)]

    @property
    def note(self) -> Path:
        """Where is kept what the table and the sheet of a batch say of it, until they are written."""
        return self.all[0].with_name(NOTES_FOLDER) / f"{self.sample.stem}.json"

    @property
    def needs_mesh(self) -> bool:
        """Whether a mesh is needed for them; a density grid is not."""
        return len(self.all) > len(self.grids)


def plan_files(
    samples: Sequence[Sample], target: Path, formats: Sequence[str], delivery: OutputOptions, *, one_file: bool
) -> list[Files]:
    """Name the files of each sample.

    Args:
        samples: In the order they were asked for.
        target: The output file, or the folder.
        formats: Suffixes without the dot.
        delivery: Which further files.
        one_file: Whether `target` is a file. Further files of its sample stand beside it.

    Raises:
        InputError: One file was named for several samples.
    """
    suffixes = [f".{name}" for name in formats]
    if not one_file:
        return [_files(one, target / one.stem, suffixes, delivery) for one in samples]
    if len(samples) > 1:
        folder = f"-o {target.with_suffix('')} --format {','.join(formats)}"
        raise InputError(
            f"{target} is one file, but there are {len(samples)} samples; "
            f"give a folder ({folder}), or choose one class and one seed"
        )
    return [_files(samples[0], target.with_suffix(""), suffixes, delivery, own=target)]


def written_files(files: Files, *, textured: bool) -> list[Path]:
    """List every file of a sample in the order they are written, with those that stand beside a mesh."""
    meshes = [path for mesh in files.meshes for path in mesh_files(mesh, textured=textured)]
    extra = (files.points, files.report, files.strip, files.film)
    return [*files.grids, *meshes, *(path for path in extra if path is not None)]


def formats_of(file: Path | None, delivery: OutputOptions) -> tuple[str, ...]:
    """Settle the formats from the output file, if it is one, and from what was asked for.

    Raises:
        InputError: A format is unknown, or the two disagree.
    """
    if file is None:
        return delivery.formats or (DEFAULT_FORMAT,)
    check_suffix(file)
    own = file.suffix[1:].lower()
    formats = delivery.formats or (own,)
    if own not in formats:
        raise InputError(
            f"format is {','.join(formats)}, but the output is {file}; leave --format out, or change the suffix"
        )
    return (own, *(name for name in formats if name != own))


def check_for_grids(formats: Sequence[str], surface: MeshOptions, delivery: OutputOptions) -> None:
    """Refuse options of meshes where densities alone are written.

    Raises:
        InputError: There is one.
    """
    further = delivery.points is not None or delivery.preview or delivery.report  # for which a mesh is made
    if further or any(f".{name}" not in DENSITY_SUFFIXES for name in formats):
        return
    said = [
        option(one.name, typed="--no-color" if one.name == "colors" else "")
        for options, read in ((surface, "resolution"), (delivery, "formats"))
        for one in fields(options)
        if one.name != read and getattr(options, one.name) != one.default
    ]
    if said:
        both = option("formats", f"{DEFAULT_FORMAT},{formats[0]}", typed="--format")
        raise InputError(
            f"{', '.join(said)}: that is for meshes, and there is none in {' or '.join(formats)}; leave it out, or "
            f"write one as well: {both}"
        )


def formats_without_texture(formats: Sequence[str]) -> list[str]:
    """Name the formats of meshes that cannot hold the texture that is asked for.

    Raises:
        InputError: None of the formats can.
    """
    if not any(f".{name}" in TEXTURE_SUFFIXES for name in formats):
        able = ", ".join(suffix[1:] for suffix in TEXTURE_SUFFIXES)
        raise InputError(f"no texture fits into {' or '.join(formats)}; leave --texture out, or write one of {able}")
    return [name for name in formats if f".{name}" not in (*TEXTURE_SUFFIXES, *DENSITY_SUFFIXES)]


def _files(
    one: Sample, base: Path, suffixes: Sequence[str], delivery: OutputOptions, *, own: Path | None = None
) -> Files:
    """Name the files of a sample after `base`; `own` keeps the name that was typed."""

    def beside(ending: str) -> Path:
        return own if own is not None and own.suffix.lower() == ending else base.with_name(base.name + ending)

    return Files(
        sample=one,
        meshes=tuple(beside(suffix) for suffix in suffixes if suffix not in DENSITY_SUFFIXES),
        grids=tuple(beside(suffix) for suffix in suffixes if suffix in DENSITY_SUFFIXES),
        points=beside("-points.ply") if delivery.points is not None else None,
        strip=beside("-preview.png") if delivery.preview else None,
        film=beside("-preview.mp4") if delivery.preview else None,
        report=beside("-report.json") if delivery.report else None,
    )
