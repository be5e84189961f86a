"""`gen3d sample`: pictures of seeds, as files or as one labelled grid."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.batch.pieces import Maker, Notes, Piece, Prepare
from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import parse_seeds
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.media.images import check_image_path, write_image
from gen3d_tools.wording import option
from gen3d_tools.workflows.running.batches import load_here, make_pieces, manifest_paths, write_manifests
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.camera_files import (
    CameraFile,
    cameras_of_pixels,
    check_cameras_out,
    plan_camera_file,
)
from gen3d_tools.workflows.samples.selection import DEFAULT_SEEDS, Sample, SampleSelection, check_psi, make_fields
from gen3d_tools.workflows.samples.shards import check_shards, make_shards, plan_shards, write_shard
from gen3d_tools.workflows.samples.sheets import check_grid, samples_sheet, settle_grid
from gen3d_tools.workflows.samples.views import ViewOptions, check_size, even_turns, parse_kinds, picture, turn_names

GRID_NAME = "grid.png"
MAX_VIEWS = 64


def sample(
    model: str,
    choice: SampleSelection | None = None,
    *,
    show: str = "rgb",
    views: int = 1,
    grid: bool | str = False,
    cameras_out: str | None = None,
    shards: int | None = None,
    look: ViewOptions | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Render samples to pictures, each whole on disk before the next begins.

    Args:
        model: Whatever `load_generator` takes.
        choice: Which samples.
        show: Any of "rgb", "depth", "normal", separated by commas.
        views: Pictures around the object, evenly spaced in yaw, see `ViewOptions.turns`.
        grid: One labelled sheet instead of files: True, or its columns and rows, "4x3". Also when the output is one
            picture and there are several.
        cameras_out: "nerfstudio" or "colmap": write the cameras of the pictures too, for the programs of that name.
        shards: Tar files of so many samples each for WebDataset, and an index, instead of a file for each picture.
        look: Angles, size and quality.
        options: Where the pictures go (one by its suffix, or a folder of them), on which device, and how many processes
            make them.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, look, options = choice or SampleSelection(), look or ViewOptions(), options or RunOptions()
    reporter, kinds = reporter or Reporter(), parse_kinds(show)
    check_size(look.size)
    check_psi(choice.psi)
    table = settle_grid(grid)
    camera_format = check_cameras_out(cameras_out, kinds, options.file)
    check_shards(shards, options)
    _check_together(views, bool(grid), cameras=camera_format is not None, shards=shards is not None)
    if _is_sheet(choice, grid=bool(grid), options=options, pictures=len(kinds) * views):
        _refuse_workers(options)
    target = options.target("sample", model, choice.name_parts, urls=True)
    if options.file is not None:
        check_image_path(target, overwrite=options.replaces)
    generator = load_here(model, options)
    look = look.sized(generator)
    turns = look.turns(generator, views)
    cameras = [look.camera(generator, turn) for turn in turns]
    names = turn_names(generator, turns)
    columns = [f"{kind} {name}°" if views > 1 else kind for kind in kinds for name in names]
    samples = choice.samples(generator)
    check_grid(table, len(samples))
    run = Run("sample", model, choice.record(generator), dry_run=options.dry_run, reporter=reporter)
    run.options |= {"show": kinds, "views": views} | asdict(look)
    if turns != even_turns(views):  # a set of other cameras is another work
        run.options |= {"turns": names}
    shoot = _Shoot(generator, choice.psi, kinds, cameras, look)
    next_command = f"gen3d video {options.after(model)}{samples[0].options_at(choice.psi)}"
    if shards is not None:
        run.options |= {"shards": shards}
        here = partial(write_shard, shoot.all_pictures, columns, options.replaces)
        elsewhere = partial(_prepare_shards, model, options.base, choice.psi, kinds, views, look, columns)
        make_shards(run, plan_shards(samples, target, shards), columns, options, here, elsewhere)
        return run.finish(next_command=next_command)
    cameras_file = plan_camera_file(camera_format, target, len(set(samples)))
    plan = _plan(samples, columns, target, options, grid=bool(grid), table=table, cameras=cameras_file)
    run.options |= {"grid": plan.sheet is not None, "table": table, "cameras_out": camera_format}
    manifests = manifest_paths(target, options)
    if plan.sheet is not None:
        _refuse_workers(options)
    whole = claim(run, [*plan.paths, *manifests], target, options, apart=plan.sheet is None, made_of=plan.made_of)
    if options.dry_run:
        _say_plan(run, plan, columns)
        return run
    with run.recording():
        if plan.sheet is None:
            write_manifests(manifests, _pieces(plan, ()), run)
            prepare = partial(_prepare, model, options.base, choice.psi, kinds, views, look)
            _write_pictures(run, plan, shoot, prepare, whole, options)
        elif plan.sheet in whole:
            run.add(plan.sheet, "there already")
        else:
            _write_sheet(run, plan, columns, shoot, overwrite=options.replaces)
    return run.finish(next_command=next_command)


def _check_together(views: int, grid: bool, *, cameras: bool, shards: bool) -> None:
    """Refuse outputs that exclude each other, and views that cannot be.

    Raises:
        InputError: That is what is asked for.
    """
    if not 1 <= views <= MAX_VIEWS:
        raise InputError(f"views is {views}; it must lie in 1..{MAX_VIEWS}")
    if cameras and grid:
        raise InputError("a sheet is no set of pictures for cameras; leave the grid out, or the cameras")
    if shards and (grid or cameras):
        raise InputError(f"shards hold pictures one by one; leave the grid and the cameras out, or {option('shards')}")


def _is_sheet(choice: SampleSelection, *, grid: bool, options: RunOptions, pictures: int) -> bool:
    """Whether all go into one picture, as far as that is known before the model's classes are.

    Args:
        choice: Which samples.
        grid: A sheet is asked for.
        options: Where the pictures go.
        pictures: Of each sample.
    """
    several = pictures > 1 or len(set(parse_seeds(choice.seeds or DEFAULT_SEEDS))) > 1
    return grid or (options.file is not None and several)


def _refuse_workers(options: RunOptions) -> None:
    """Refuse to share out a sheet.

    Raises:
        InputError: Workers are asked for.
    """
    if options.batch.asked:
        raise InputError(f"a sheet is one picture, which one process makes; leave {option('workers')} out")


@dataclass(frozen=True)
class _Plan:
    """Which pictures go where: a file for each picture of each sample, or one sheet of all."""

    samples: Sequence[Sample]
    files: Sequence[Sequence[Path]]
    """One row for each sample; empty if there is a sheet."""
    sheet: Path | None
    table: tuple[int, int] | None = None
    """Columns and rows of the sheet, if they were asked for."""
    cameras: CameraFile | None = None

    @property
    def pictures(self) -> list[Path]:
        """Every picture."""
        return [path for row in self.files for path in row] if self.sheet is None else [self.sheet]

    @property
    def made_of(self) -> dict[Path, Any]:
        """Which sample each picture shows; nothing for a sheet."""
        if self.sheet is not None:
            return {}
        return {path: one.identity for one, row in zip(self.samples, self.files, strict=True) for path in row}

    @property
    def paths(self) -> list[Path]:
        """Every output."""
        return [*self.pictures, *([] if self.cameras is None else [self.cameras.path])]


def _plan(
    samples: Sequence[Sample],
    columns: Sequence[str],
    target: Path,
    options: RunOptions,
    *,
    grid: bool,
    table: tuple[int, int] | None,
    cameras: CameraFile | None,
) -> _Plan:
    """Name the files; a sample that is named twice is made once, unless it is to be twice on a sheet."""
    if grid or (options.file is not None and len(set(samples)) * len(columns) > 1):
        return _Plan(samples, [], target if options.file is not None else target / GRID_NAME, table)
    samples = list(dict.fromkeys(samples))
    if options.file is not None:
        return _Plan(samples, [[target]], None)
    ends = [f"-{name.replace(' ', '-').removesuffix('°')}" for name in columns] if len(columns) > 1 else [""]
    return _Plan(samples, [[target / f"{one.stem}{end}.png" for end in ends] for one in samples], None, cameras=cameras)


def _say_plan(run: Run, plan: _Plan, columns: Sequence[str]) -> None:
    """Note what would be written."""
    if plan.sheet is not None:
        run.add(plan.sheet, f"{len(plan.samples)} samples in one sheet")
        return
    for one, row in zip(plan.samples, plan.files, strict=True):
        for name, path in zip(columns, row, strict=True):
            run.add(path, f"{one.label}, {name}")
    if plan.cameras is not None:
        run.add(plan.cameras.path, plan.cameras.line)


@dataclass(frozen=True)
class _Shoot:
    """What all pictures of a run share."""

    generator: Generator
    psi: float
    kinds: Sequence[str]
    cameras: Sequence[Camera]
    look: ViewOptions

    def line(self, one: Sample) -> str:
        """Say for people what a picture is."""
        return f"{one.label}, {self.look.size} x {self.look.size} pixels"

    def all_pictures(self, one: Sample) -> list[Float[Tensor, "3 size size"]]:
        """Render a sample: its kinds of picture, each from all views."""
        count = len(self.kinds) * len(self.cameras)
        return [image for image in self.pictures(one, [True] * count) if image is not None]

    def pictures(self, one: Sample, wanted: Sequence[bool]) -> Iterator[Float[Tensor, "3 size size"] | None]:
        """Render a sample: its kinds of picture, each from all views; None where one is not wanted."""
        if not any(wanted):
            yield from [None] * len(wanted)
            return
        [field] = make_fields(self.generator, [one], self.psi)
        settings, look = self.generator.settings, self.look
        config = settings.render_config if look.exact else config_for(stack_cameras(self.cameras), settings)
        for is_wanted, (kind, camera) in zip(wanted, product(self.kinds, self.cameras), strict=True):
            yield picture(field, camera, kind, look, config) if is_wanted else None


@dataclass(frozen=True)
class _Task:
    """One sample, in whichever process it is rendered."""

    sample: Sample
    files: Sequence[Path]
    """Of its pictures."""
    wanted: Sequence[bool]
    """Which of them are not whole yet."""


def _pieces(plan: _Plan, whole: Container[Path]) -> list[Piece]:
    """A piece for each sample, but for those that are whole."""
    pieces = []
    for one, row in zip(plan.samples, plan.files, strict=True):
        wanted = [path not in whole for path in row]
        outputs = [path for path in row if path not in whole]
        if outputs:
            facts = {"seed": one.seed, "class": one.class_name or None}
            pieces.append(Piece(name=one.label, task=_Task(one, row, wanted), outputs=outputs, facts=facts))
    return pieces


def _prepare(
    model: str, base: str | None, psi: float, kinds: Sequence[str], views: int, look: ViewOptions, device: str
) -> Maker:
    """Load in another process what writes pictures."""
    return partial(_make, _load(model, base, psi, kinds, views, look, device), True)


def _prepare_shards(
    model: str,
    base: str | None,
    psi: float,
    kinds: Sequence[str],
    views: int,
    look: ViewOptions,
    columns: Sequence[str],
    device: str,
) -> Maker:
    """Load in another process what writes shards."""
    return partial(write_shard, _load(model, base, psi, kinds, views, look, device).all_pictures, columns, True)


def _load(
    model: str, base: str | None, psi: float, kinds: Sequence[str], views: int, look: ViewOptions, device: str
) -> _Shoot:
    generator = load_generator(model, device=device, base=base)
    return _Shoot(generator, psi, kinds, [look.camera(generator, turn) for turn in look.turns(generator, views)], look)


def _make(
    shoot: _Shoot, overwrite: bool, task: _Task, notes: Notes, *, done: Callable[[], None] = lambda: None
) -> None:
    """Write a sample's pictures, one file after the other; those that are whole already stay."""
    for path, image in zip(task.files, shoot.pictures(task.sample, task.wanted), strict=True):
        if image is not None:
            write_image(path, image, overwrite=overwrite)
            notes.add(path, shoot.line(task.sample))
            done()


def _write_pictures(
    run: Run, plan: _Plan, shoot: _Shoot, prepare: Prepare, whole: Container[Path], options: RunOptions
) -> None:
    """Write the pictures of every sample; those that are whole already stay."""
    for one, row in zip(plan.samples, plan.files, strict=True):
        for path in row:
            if path in whole:
                run.add(path, f"{shoot.line(one)}, there already")
    pieces = _pieces(plan, whole)
    made = len(plan.pictures) - sum(len(piece.outputs) for piece in pieces)
    with run.reporter.progress("rendering", len(plan.pictures)) as done:

        def count(pictures: int = 1) -> None:
            nonlocal made
            made += pictures
            done(made)

        here = partial(_make, shoot, options.replaces, done=count)
        for piece, _ in make_pieces(run, pieces, options, here, prepare):
            if options.batch.spreads(options.device):
                count(len(piece.outputs))
    run.sort(plan.pictures)
    if plan.cameras is not None:
        _write_cameras(run, plan, plan.cameras, shoot, whole, overwrite=options.replaces)


def _write_cameras(
    run: Run, plan: _Plan, file: CameraFile, shoot: _Shoot, whole: Container[Path], *, overwrite: bool
) -> None:
    """Write the cameras of a sample's pictures of colours."""
    if file.path in whole:
        run.add(file.path, f"{file.line}, there already")
        return
    first, size = shoot.kinds.index("rgb") * len(shoot.cameras), shoot.look.size
    assert size is not None, "the look of a shoot is sized"
    colours = plan.files[0][first : first + len(shoot.cameras)]
    cameras = stack_cameras(shoot.cameras)
    seen = cameras_of_pixels(cameras, shoot.generator, plan.samples[0], shoot.psi, shoot.look)
    file.write(seen, colours, size, colours[0].parent, overwrite=overwrite)
    run.add(file.path, file.line)


def _write_sheet(run: Run, plan: _Plan, columns: Sequence[str], shoot: _Shoot, *, overwrite: bool) -> None:
    """Write all pictures as one."""
    assert plan.sheet is not None
    rows: list[list[Tensor]] = []
    with run.reporter.progress("rendering", len(plan.samples) * len(columns)) as done:
        for one in plan.samples:
            rows.append([])
            for image in shoot.pictures(one, [True] * len(columns)):
                assert image is not None
                rows[-1].append(image)
                done(sum(map(len, rows)))
    sheet = samples_sheet(plan.samples, rows, columns, plan.table)
    write_image(plan.sheet, sheet, overwrite=overwrite)
    run.add(plan.sheet, f"{len(plan.samples)} samples, {sheet.shape[-1]} x {sheet.shape[-2]} pixels")
