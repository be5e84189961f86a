"""`gen3d video`: the camera moves, and with interpolation the object does too. Frames stream to the encoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from gen3d_tools.batch.pieces import Maker, Notes, Piece, Prepare
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.media.video import VideoWriter, frame_path
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
from gen3d_tools.workflows.samples.selection import SampleSelection, check_psi
from gen3d_tools.workflows.samples.views import ViewOptions, check_size, parse_kinds
from gen3d_tools.workflows.video.camera_path import CameraPath, path_digest, plan_motion, untrusted_views
from gen3d_tools.workflows.video.frames import FilmSettings, estimate_seconds, film
from gen3d_tools.workflows.video.layout import VideoLayout, parse_grid, plan_shots, square_grid

FORMATS = {"mp4": ".mp4", "gif": ".gif", "webm": ".webm", "frames": ""}
_COST = "each frame of a blend is an object of its own, and takes several times as long as one of an orbit"
AUTO_GRID = "auto"
MAX_SIDE = 8192  # pixels of a whole frame each way; encoders and players give up beyond


def video(
    model: str,
    choice: SampleSelection | None = None,
    *,
    path: str = "orbit",
    seconds: float | None = None,
    fps: float | None = None,
    show: str = "rgb",
    interpolate: bool = False,
    once: bool = False,
    grid: str | None = None,
    cameras_out: str | None = None,
    look: ViewOptions | None = None,
    file_format: str | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Film samples.

    Args:
        model: Whatever `load_generator` takes.
        choice: Which samples.
        path: A name of `cameras.paths.PATHS`, or a camera file.
        seconds: Length; 4 if neither this nor a file says.
        fps: Frames per second; 30 if neither this nor a file says.
        show: Any of "rgb", "depth", "normal", separated by commas: side by side.
        interpolate: Pass through the samples, and back to the first, in one video.
        once: End at the last of them instead.
        grid: "columns x rows", or "auto": several samples in one video. Also when the output is one video and there
            are several.
        cameras_out: "nerfstudio" or "colmap": pictures in a folder, and their cameras for the programs of that name.
        look: Angles (of the path's first camera or its middle), size and quality.
        file_format: A key of `FORMATS`, for videos in a folder; "mp4" if None.
        options: Where the videos go (one by its suffix, or a folder of them). A dry run says how long it would take.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, look, options = choice or SampleSelection(), look or ViewOptions(), options or RunOptions()
    reporter, kinds = reporter or Reporter(), parse_kinds(show)
    check_size(look.size)
    check_psi(choice.psi)
    if once and not interpolate:
        raise InputError(f"only a way through samples has an end; add {option('interpolate', True)}")
    motion = plan_motion(path, seconds, fps, look.fov)
    is_auto, table = _parse_table(grid)
    if is_auto and interpolate:  # one cell could pass through all of them, or many through two each
        raise InputError(
            f"nothing says how many cells share the samples to interpolate; write {option('grid', '2x1')}, or leave it "
            "out: one picture passes through all of them"
        )
    camera_format = _check_cameras(cameras_out, kinds, options.file, file_format, together=bool(grid or interpolate))
    suffix = FORMATS["frames"] if camera_format is not None else _choose_suffix(options.file, file_format)
    target = options.target("video", model, choice.name_parts, urls=True)
    if options.file is not None:  # better said before the model is read than later
        VideoWriter(options.file, motion.fps, overwrite=options.replaces)
    generator = load_here(model, options)
    samples = choice.samples(generator)
    if is_auto:
        table = square_grid(len(samples))
    cameras_file = plan_camera_file(camera_format, target, len(set(samples)))
    shots = plan_shots(
        samples, target, suffix, one_file=options.file is not None, grid=table, interpolate=interpolate, once=once
    )
    scene = _scene(generator, choice.psi, kinds, look.sized(generator), motion, once=once)
    width, height = _check_frame_size(shots[0], kinds, scene.look.side(generator))
    run = Run("video", model, choice.record(generator), dry_run=options.dry_run, reporter=reporter)
    run.options |= {"path": motion.name, "path_sha256": path_digest(path), "show": kinds, "interpolate": interpolate}
    run.options |= {"grid": grid, "frames": motion.frames, "fps": motion.fps} | asdict(scene.look)
    run.options |= {"cameras_out": camera_format, "once": once}
    run.details |= {"frames": motion.frames, "fps": motion.fps, "width": width, "height": height}
    apart = all(len(shot.cells) == len(shot.cells[0]) == 1 for shot in shots)
    paths = [*(shot.path for shot in shots), *([] if cameras_file is None else [cameras_file.path])]
    manifests = manifest_paths(target, options)
    made_of = {shot.path: [one.identity for one in shot.samples] for shot in shots}
    whole = claim(run, [*paths, *manifests], target, options, apart=apart, reads=[path], made_of=made_of)
    writers = {
        shot.path: VideoWriter(shot.path, motion.fps, overwrite=options.replaces)
        for shot in shots
        if shot.path not in whole
    }
    _say_notes(shots[0] if table is None else None, motion, scene, reporter, interpolating=interpolate)
    if options.dry_run:
        return _planned(run, shots, cameras_file, scene)
    elsewhere = partial(
        _prepare, model, options.base, choice.psi, kinds, look, motion, once=once, described=_size(run.details)
    )
    with run.recording():
        write_manifests(manifests, _pieces(shots), run)
        _film_all(run, shots, writers, scene, options, elsewhere)
        if cameras_file is not None:
            if cameras_file.path not in whole:
                pictures = [frame_path(shots[0].path, index) for index in range(motion.frames)]
                seen = cameras_of_pixels(scene.cameras, generator, samples[0], choice.psi, scene.look)
                cameras_file.write(seen, pictures, width, target, overwrite=options.replaces)
            run.add(cameras_file.path, cameras_file.line)
    return run.finish(next_command=f"gen3d mesh {options.after(model)}{samples[0].options_at(choice.psi)}")


def _parse_table(grid: str | None) -> tuple[bool, tuple[int, int] | None]:
    """Read `--grid`: whether it is left to us, and the columns and rows it says."""
    if grid is not None and grid.strip().lower() == AUTO_GRID:
        return True, None
    return False, None if grid is None else parse_grid(grid)


def _planned(run: Run, shots: Sequence[VideoLayout], cameras_file: CameraFile | None, scene: FilmSettings) -> Run:
    """Say what would be made, and how long it would take."""
    for shot in shots:
        run.add(shot.path, f"{shot.label}, {_size(run.details)}")
    if cameras_file is not None:
        run.add(cameras_file.path, cameras_file.line)
    run.reporter.say(f"about {estimate_seconds(shots, scene):.0f} s of work; leave --dry-run out to begin")
    return run


def _check_cameras(
    cameras_out: str | None, kinds: Sequence[str], file: Path | None, file_format: str | None, *, together: bool
) -> str | None:
    """Read `--cameras-out`, and refuse it where frames are no pictures of one object."""
    name = check_cameras_out(cameras_out, kinds, file)
    if name is None:
        return None
    if together or list(kinds) != ["rgb"]:
        raise InputError("cameras belong to pictures of one object in its colours; leave out what puts more in a frame")
    if file_format is not None and file_format.strip().lower() != "frames":
        raise InputError(
            f"cameras belong to pictures, not to a {file_format[:40]}; "
            f"leave {option('file_format', typed='--format')} out"
        )
    return name


def _scene(
    generator: Generator, psi: float, kinds: Sequence[str], look: ViewOptions, motion: CameraPath, *, once: bool
) -> FilmSettings:
    """Place the cameras, and the ends of their rays around the object."""
    cameras, settings = motion.cameras(generator, look), generator.settings
    config = settings.render_config if look.exact else config_for(cameras, settings)
    return FilmSettings(generator, psi, kinds, look, cameras, config, once=once)


def _pieces(shots: Sequence[VideoLayout]) -> list[Piece]:
    """A piece for each video."""
    return [
        Piece(
            name=shot.label,
            task=shot,
            outputs=[shot.path],
            facts={
                "seeds": [one.seed for one in shot.samples],
                "classes": [one.class_name or None for one in shot.samples],
            },
        )
        for shot in shots
    ]


def _prepare(
    model: str,
    base: str | None,
    psi: float,
    kinds: Sequence[str],
    look: ViewOptions,
    motion: CameraPath,
    device: str,
    *,
    once: bool,
    described: str,
) -> Maker:
    """Load in another process what films."""
    generator = load_generator(model, device=device, base=base)
    scene = _scene(generator, psi, kinds, look.sized(generator), motion, once=once)

    def make(shot: VideoLayout, notes: Notes) -> None:
        _film(shot, VideoWriter(shot.path, motion.fps, overwrite=True), scene, lambda count: None)
        notes.add(shot.path, f"{shot.label}, {described}")

    return make


def _film(shot: VideoLayout, writer: VideoWriter, scene: FilmSettings, done: Callable[[int], None]) -> None:
    """Write one video."""
    with writer:
        for count, frame in enumerate(film(shot, scene), start=1):
            writer.add(frame)
            done(count)


def _film_all(
    run: Run,
    shots: Sequence[VideoLayout],
    writers: Mapping[Path, VideoWriter],
    scene: FilmSettings,
    options: RunOptions,
    elsewhere: Prepare,
) -> None:
    """Write one video after the other, each whole on disk before the next begins; those without a writer are there."""
    frames, begun = len(scene.cameras), 0
    for shot in shots:
        if shot.path not in writers:
            run.add(shot.path, f"{shot.label}, {_size(run.details)}, there already")
            begun += 1
    with run.reporter.progress("filming", len(shots) * frames) as done:

        def make(shot: VideoLayout, notes: Notes) -> None:
            _film(shot, writers[shot.path], scene, lambda count: done(begun * frames + count))
            notes.add(shot.path, f"{shot.label}, {_size(run.details)}")

        for _ in make_pieces(run, _pieces([shot for shot in shots if shot.path in writers]), options, make, elsewhere):
            begun += 1
            done(begun * frames)
    run.sort([shot.path for shot in shots])


def _check_frame_size(shot: VideoLayout, kinds: Sequence[str], size: int) -> tuple[int, int]:
    """Give width and height of a video, if an encoder can take them."""
    width, height = size * len(kinds) * shot.columns, size * shot.rows
    if max(width, height) > MAX_SIDE:
        raise InputError(f"a frame would have {width} x {height} pixels, at most {MAX_SIDE} each way; lower --size")
    return width, height


def _choose_suffix(file: Path | None, file_format: str | None) -> str:
    """Find the suffix of videos in a folder."""
    if file_format is None:
        return FORMATS["mp4"]
    name = file_format.strip().lower().removeprefix(".")
    if name not in FORMATS:
        raise InputError(f"unknown video format {file_format[:40]!r}; choose from {', '.join(FORMATS)}")
    if file is not None and file.suffix.lower() != FORMATS[name]:
        raise InputError(f"{file} says {file.suffix}, --format says {name}; leave one out, or name a folder: {file}/")
    return FORMATS[name]


def _size(details: dict[str, Any]) -> str:
    """Say how long and how large a video is."""
    return "{frames} frames of {width} x {height} pixels, {fps:g} per second".format(**details)


def _say_notes(
    unasked: VideoLayout | None, motion: CameraPath, scene: FilmSettings, reporter: Reporter, *, interpolating: bool
) -> None:
    """Tell once that samples share a video without being asked for it, and what is unusual about the camera's path."""
    if unasked is not None and len(unasked.cells) > 1:
        reporter.say(f"{len(unasked.cells)} samples in one file: a grid of {unasked.columns} x {unasked.rows}")
    if motion.is_wide:
        reporter.say(f"{motion.name} is not for square pictures: its height is kept, its sides are cut")
    if interpolating:
        reporter.say(_COST)
    if warning := untrusted_views(scene.cameras, scene.generator.settings):
        reporter.say(warning)
