"""`gen3d video`: the camera moves, and with interpolation the object does too. Frames stream to the encoder."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.media.video import VideoWriter
from gen3d_tools.workflows.film import Scene, estimate_seconds, film
from gen3d_tools.workflows.motion import Motion, plan_motion, untrusted_views
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run, output_folder
from gen3d_tools.workflows.sample import Look, check_size, parse_kinds
from gen3d_tools.workflows.samples import check_psi, choose_samples, name_parts, settle_seeds
from gen3d_tools.workflows.shots import Shot, parse_grid, plan_shots

FORMATS = {"mp4": ".mp4", "gif": ".gif", "webm": ".webm", "frames": ""}
MAX_SIDE = 8192  # pixels of a whole frame each way; encoders and players give up beyond


def video(
    model: str,
    *,
    seeds: str | None = None,
    classes: str | None = None,
    psi: float = 1.0,
    path: str = "orbit",
    seconds: float | None = None,
    fps: float | None = None,
    show: str = "rgb",
    interpolate: bool = False,
    grid: str | None = None,
    look: Look | None = None,
    out: Path | None = None,
    file_format: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Film samples.

    Args:
        model: Whatever `load_generator` takes.
        seeds: "0,2,5-9"; None is 0, or the object a tuned generator is about.
        classes: Names or indices, or "all"; every class is combined with every seed.
        psi: Truncation, 1 = off.
        path: A name of `cameras.paths.PATHS`, or a camera file.
        seconds: Length; 4 if neither this nor a file says.
        fps: Frames per second; 30 if neither this nor a file says.
        show: Any of "rgb", "depth", "normal", separated by commas: side by side.
        interpolate: Pass through the samples, and back to the first, in one video.
        grid: "columns x rows": several samples in one video. Also when `out` is one video and there are several.
        look: Angles (of the path's first camera or its middle), size and quality.
        out: A video (by its suffix) or a folder; None makes a folder in `gen3d-out`.
        file_format: A key of `FORMATS`, for videos in a folder; "mp4" if None.
        device: "auto", "cpu", "cuda", ...
        overwrite: Replace existing outputs.
        dry_run: Check everything, say what would be made and how long it would take, and write nothing.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    look, reporter, kinds = look or Look(), reporter or Reporter(), parse_kinds(show)
    check_size(look.size)
    check_psi(psi)
    motion = plan_motion(path, seconds, fps)
    table = None if grid is None else parse_grid(grid)
    suffix = _choose_suffix(out, file_format)
    one_file = out is not None and out.suffix != ""
    target = out or output_folder("video", model, name_parts(seeds, classes))
    if one_file:
        VideoWriter(target, motion.fps, overwrite=overwrite)  # refuses what it cannot write before the model is read
    generator = load_generator(model, device=device)
    look = look.sized(generator)
    samples = choose_samples(generator, seeds, classes)
    shots = plan_shots(samples, target, suffix, one_file=one_file, grid=table, interpolate=interpolate)
    width, height = _check_frame_size(shots[0], kinds, look.side(generator))
    writers = [VideoWriter(shot.path, motion.fps, overwrite=overwrite) for shot in shots]
    cameras = motion.cameras(generator, look)
    settings = generator.settings
    config = settings.render_config if look.exact else config_for(cameras, settings)
    scene = Scene(generator, psi, kinds, look, cameras, config)
    if table is None and len(shots[0].cells) > 1:
        reporter.say(f"{len(samples)} samples in one file: a grid of {shots[0].columns} x {shots[0].rows}")
    _say_notes(motion, scene, reporter)
    run = Run(
        "video",
        model,
        {"seeds": settle_seeds(generator, seeds, classes), "classes": classes, "psi": psi, "path": motion.name},
        dry_run=dry_run,
    )
    run.options |= {"show": kinds, "interpolate": interpolate, "grid": grid} | asdict(look)
    run.details |= {"frames": motion.frames, "fps": motion.fps, "width": width, "height": height}
    for shot in shots:
        line = f"{shot.label}, {motion.frames} frames of {width} x {height} pixels, {motion.fps:g} per second"
        run.add(shot.path, line)
    if dry_run:
        reporter.say(f"about {estimate_seconds(shots, scene):.0f} s of work; leave --dry-run out to begin")
        return run
    _film_all(shots, writers, scene, reporter)
    return run.finish(target, next_command=f"gen3d mesh {shlex.quote(model)}{samples[0].options}")


def _film_all(shots: Sequence[Shot], writers: Sequence[VideoWriter], scene: Scene, reporter: Reporter) -> None:
    """Write one video after the other; each is whole on disk before the next begins."""
    done_before = 0
    with reporter.progress("filming", len(shots) * len(scene.cameras)) as done:
        for shot, writer in zip(shots, writers, strict=True):
            with writer:
                for count, frame in enumerate(film(shot, scene), start=1):
                    writer.add(frame)
                    done(done_before + count)
            done_before += len(scene.cameras)


def _check_frame_size(shot: Shot, kinds: Sequence[str], size: int) -> tuple[int, int]:
    """Give width and height of a video, if an encoder can take them."""
    width, height = size * len(kinds) * shot.columns, size * shot.rows
    if max(width, height) > MAX_SIDE:
        raise InputError(f"a frame would have {width} x {height} pixels, at most {MAX_SIDE} each way; lower --size")
    return width, height


def _choose_suffix(out: Path | None, file_format: str | None) -> str:
    """Find the suffix of videos in a folder."""
    if file_format is None:
        return FORMATS["mp4"]
    name = file_format.strip().lower().removeprefix(".")
    if name not in FORMATS:
        raise InputError(f"unknown video format {file_format[:40]!r}; choose from {', '.join(FORMATS)}")
    if out is not None and out.suffix and out.suffix.lower() != FORMATS[name]:
        raise InputError(
            f"{out} says {out.suffix}, --format says {name}; leave one out, or name a folder without suffix"
        )
    return FORMATS[name]


def _say_notes(motion: Motion, scene: Scene, reporter: Reporter) -> None:
    """Tell once what is unusual about the camera's path."""
    if motion.is_wide:
        reporter.say(f"{motion.name} is not for square pictures: its height is kept, its sides are cut")
    if warning := untrusted_views(scene.cameras, scene.generator.settings):
        reporter.say(warning)
