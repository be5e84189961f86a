"""`gen3d mesh`: the surface of samples, as mesh files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import trimesh

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.files import check_writable
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.cleanup import check_keep
from gen3d_tools.geometry.export import check_mesh_suffix, check_up, write_mesh
from gen3d_tools.geometry.isosurface import check_iso_level
from gen3d_tools.geometry.lattice import Progress, check_resolution
from gen3d_tools.geometry.mesh import extract_mesh, mesh_health
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run, output_folder
from gen3d_tools.workflows.samples import Sample, check_psi, choose_samples, make_fields, name_parts, settle_seeds

DEFAULT_FORMAT = "glb"


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What surface is taken from a field, and how it is stored."""

    resolution: int = 256  # lattice points along each side of the box, 8 to 1024
    level: float | None = None  # density at the surface; None = the model's own
    keep: float = 0.02  # smallest detached part, as a share of the largest part's volume
    colors: bool = True
    up: str = "y"  # upward axis of the file, "y" or "z"

    def check(self) -> None:
        """Refuse what cannot be meshed, before any work.

        Raises:
            InputError: A value is out of its range.
            OutOfMemoryError: The lattice does not fit into this machine.
        """
        check_resolution(self.resolution)
        check_keep(self.keep)
        check_up(self.up)
        if self.level is not None:
            check_iso_level(self.level)


def mesh(
    model: str,
    *,
    seeds: str | None = None,
    classes: str | None = None,
    psi: float = 1.0,
    surface: Surface | None = None,
    out: Path | None = None,
    file_format: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Mesh samples, one file each.

    Args:
        model: Whatever `load_generator` takes.
        seeds: "0,2,5-9"; None is 0, or the object a tuned generator is about.
        classes: Names or indices, or "all"; every class is combined with every seed.
        psi: Truncation, 1 = off.
        surface: Resolution, level, cleaning, colours, upward axis.
        out: A mesh file (by its suffix) for one sample, or a folder; None makes a folder in `gen3d-out`.
        file_format: Suffix of the files in a folder, "glb" by default.
        device: "auto", "cpu", "cuda", ...
        overwrite: Replace existing outputs.
        dry_run: Check everything and say what would be written, without doing it.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    surface, reporter = surface or Surface(), reporter or Reporter()
    surface.check()
    check_psi(psi)
    target = out or output_folder("mesh", model, name_parts(seeds, classes))
    one_file = out is not None and bool(out.suffix) and not out.is_dir()
    suffix = _choose_suffix(target if one_file else None, file_format)
    if one_file:
        check_writable(target, overwrite=overwrite)
    generator = load_generator(model, device=device)
    samples = list(dict.fromkeys(choose_samples(generator, seeds, classes)))
    paths = _name_files(samples, target, suffix, one_file=one_file)
    for path in paths:
        check_writable(path, overwrite=overwrite)
    options = {"seeds": settle_seeds(generator, seeds, classes), "classes": classes, "psi": psi} | asdict(surface)
    options["level"] = generator.settings.iso_level if surface.level is None else surface.level
    run = Run("mesh", model, options, dry_run=dry_run)
    if dry_run:
        for one, path in zip(samples, paths, strict=True):
            run.add(path, f"{one.label}, {surface.resolution}³ lattice points, level {options['level']:g}")
        return run
    _write_all(run, generator, samples, paths, psi, surface, overwrite, reporter)
    return run.finish(target, next_command=f"gen3d video {model}{samples[0].options}")


def _choose_suffix(file: Path | None, file_format: str | None) -> str:
    """Settle the format from the output file, if it is one, and `--format`.

    Raises:
        InputError: The format is unknown, or the two disagree.
    """
    asked = None if file_format is None else f".{file_format.removeprefix('.').lower()}"
    suffix = file.suffix.lower() if file else asked or f".{DEFAULT_FORMAT}"
    check_mesh_suffix(file or f"mesh{suffix}")
    if asked not in (None, suffix):
        raise InputError(f"format is {file_format}, but the output is {file}; leave --format out, or change the suffix")
    return suffix


def _name_files(samples: Sequence[Sample], target: Path, suffix: str, *, one_file: bool) -> list[Path]:
    """Give each sample a file.

    Raises:
        InputError: One file was named for several samples.
    """
    if not one_file:
        return [target / f"{one.stem}{suffix}" for one in samples]
    if len(samples) > 1:
        raise InputError(
            f"{target} is one file, but there are {len(samples)} samples; "
            f"give a folder (-o {target.with_suffix('')} --format {suffix[1:]}), or choose one class and one seed"
        )
    return [target]


def _write_all(
    run: Run,
    generator: Generator,
    samples: Sequence[Sample],
    paths: Sequence[Path],
    psi: float,
    surface: Surface,
    overwrite: bool,
    reporter: Reporter,
) -> None:
    """Mesh one sample after the other; each file is complete before the next begins."""
    points = surface.resolution**3
    with reporter.progress("meshing, lattice points", len(samples) * points) as done:
        for index, (one, path) in enumerate(zip(samples, paths, strict=True)):

            def progress(now: int, _: int, before: int = index * points) -> None:
                done(before + now)

            result = _mesh_one(generator, one, psi, surface, progress)
            write_mesh(path, result, up=surface.up, overwrite=overwrite)
            health = mesh_health(result)
            run.add(path, f"{one.label}: {health}", **asdict(health))


def _mesh_one(generator: Generator, one: Sample, psi: float, surface: Surface, progress: Progress) -> trimesh.Trimesh:
    """Mesh one sample; an error names it."""
    [field] = make_fields(generator, [one], psi)
    try:
        return extract_mesh(
            field,
            resolution=surface.resolution,
            iso_level=surface.level,
            colors=surface.colors,
            keep=surface.keep,
            progress=progress,
        )
    except Gen3DError as error:
        raise type(error)(f"{one.label}: {error}") from error
