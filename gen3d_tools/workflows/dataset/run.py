"""`gen3d dataset`: multi-view pictures of samples with depth, masks, points and meshes, for other programs."""

import os
import shlex
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gen3d_tools.batch.pieces import Maker, Notes, Piece
from gen3d_tools.errors import ENDS_BATCH, BatchError, Gen3DError, InputError
from gen3d_tools.files import listed
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.wording import option
from gen3d_tools.workflows.dataset.labels import Labelled, write_labels
from gen3d_tools.workflows.dataset.layout import LABELS_NAME, PICTURES, TRANSFORMS_NAME
from gen3d_tools.workflows.dataset.options import DatasetOptions, parse_include, parse_pitch_range
from gen3d_tools.workflows.dataset.scene import ObjectTask, make_object
from gen3d_tools.workflows.dataset.scene_files import check_lenses
from gen3d_tools.workflows.dataset.views import check_depths, place_cameras
from gen3d_tools.workflows.running.batches import load_here, make_pieces, manifest_paths, write_manifests
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import SampleSelection, check_psi
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video.camera_path import path_digest

__all__ = ["DatasetOptions", "dataset", "parse_include", "parse_pitch_range"]


def dataset(
    model: str,
    choice: SampleSelection | None = None,
    *,
    what: DatasetOptions | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Make a set of multi-view pictures. When some of several objects fail, the others are made and the run lists them.

    Args:
        model: Whatever `load_generator` takes.
        choice: Which samples; each is one object.
        what: What is made of each, and in which form.
        options: The folder of the set, the device, and how many processes share the work.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, what, options = choice or SampleSelection(), what or DatasetOptions(), options or RunOptions()
    reporter = reporter or Reporter()
    what.check()
    check_psi(choice.psi)
    if options.file is not None:
        raise InputError(f"a set is a folder, and {options.out} names a file; try {options.folder_instead}")
    target = options.target("dataset", model, [*choice.name_parts, what.file_format], urls=True)
    generator = load_here(model, options)
    what = replace(what, size=ViewOptions(size=what.size).side(generator))
    tasks = [
        ObjectTask(model=model, base=options.base, sample=one, psi=choice.psi, options=what, target=str(target))
        for one in dict.fromkeys(choice.samples(generator))
    ]
    labels = target / PICTURES / LABELS_NAME if what.is_set else None
    for task in tasks:
        _check_cameras(generator, task)
    run = Run("dataset", model, choice.record(generator), dry_run=options.dry_run, reporter=reporter)
    run.options |= what.to_dict() | {"path_sha256": path_digest(what.path)}
    paths = [path for task in tasks for path in task.outputs]
    manifests = manifest_paths(target, options)
    claimed = [*paths, *([] if labels is None else [labels]), *manifests]
    made_of = {path: task.sample.identity for task in tasks for path in task.outputs}
    whole = claim(run, claimed, target, options, reads=[what.path], made_of=made_of)
    if labels is not None:
        _check_alone(run, tasks, labels)
    if options.dry_run:
        _say_plan(run, tasks, labels)
        return run
    with run.recording():
        write_manifests(manifests, _pieces(tasks), run)
        _make_all(run, tasks, generator, whole, options)
        if labels is not None:
            _write_labels(run, tasks, generator, labels, options)
    made = next(task for task in tasks if task.sample.label not in run.failures)
    return run.finish(next_command=_next(made, run, options))


def _check_cameras(generator: Generator, task: ObjectTask) -> None:
    """Refuse cameras that files cannot hold.

    Raises:
        InputError: They cannot.
    """
    cameras = place_cameras(generator, task.sample, task.options)
    check_lenses(cameras, task.options)
    check_depths(cameras, task.options)


def _check_alone(run: Run, tasks: Sequence[ObjectTask], labels: Path) -> None:
    """Refuse a set that holds more than what is to be labelled: who trains on it would find pictures without labels.

    Raises:
        InputError: It does.
    """
    ours, folder = {labels.name, *(task.files.name for task in tasks)}, labels.parent
    if run.store is not None:
        inside = [Path(name).relative_to(PICTURES).parts[0] for name in run.store.children(folder)]
    else:
        inside = os.listdir(folder) if folder.is_dir() else []
    if others := sorted({name for name in inside if name not in ours and not name.startswith(".")}):
        raise InputError(
            f"{run.shown(folder)} holds {listed(others)}, of which the labels of this set would say nothing; name all "
            f"samples of the set with {option('seeds')} and {option('classes', typed='--class')}, or another folder "
            "with -o"
        )


def _say_plan(run: Run, tasks: Sequence[ObjectTask], labels: Path | None) -> None:
    """Note what would be written."""
    for task in tasks:
        for path in task.outputs:
            run.add(
                path, f"{task.sample.label}, {task.options.views} views of {task.options.size} x {task.options.size}"
            )
    if labels is not None:
        run.add(labels, f"labels of {len(tasks) * task.options.views:,} pictures")


def _pieces(tasks: Sequence[ObjectTask]) -> list[Piece]:
    """A piece for each object."""
    return [
        Piece(
            name=task.sample.label,
            task=task.to_dict(),
            outputs=task.outputs,
            facts={"seed": task.sample.seed, "class": task.sample.class_name or None},
        )
        for task in tasks
    ]


def _prepare(model: str, base: str | None, device: str) -> Maker:
    """Load in another process what makes objects."""
    return partial(_make, load_generator(model, device=device, base=base), True)


def _make(
    generator: Generator,
    overwrite: bool,
    task: Mapping[str, Any],
    notes: Notes,
    *,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Make an object and note its folders."""
    one = ObjectTask.from_dict(task)
    _note(notes, one, make_object(one, generator, overwrite=overwrite, progress=progress))


def _make_all(
    run: Run, tasks: Sequence[ObjectTask], generator: Generator, whole: Container[Path], options: RunOptions
) -> None:
    """Make the objects that are not whole yet; a failure of one of several does not stop the others.

    Raises:
        Gen3DError: The only object failed, or a place takes no files.
        BatchError: Every object failed.
    """
    views = tasks[0].options.views
    rest = [task for task in tasks if not all(path in whole for path in task.outputs)]
    for task in tasks:
        if task not in rest:
            _note(run, task, "there already")
    finished = len(tasks) - len(rest)
    with run.reporter.progress("rendering", len(tasks) * views) as done:

        def make(task: Mapping[str, Any], notes: Notes) -> None:
            _make(generator, options.replaces, task, notes, progress=lambda now: done(finished * views + now))

        def make_of_several(task: Mapping[str, Any], notes: Notes) -> None:
            try:
                make(task, notes)
            except ENDS_BATCH:
                raise
            except Gen3DError as error:
                label = ObjectTask.from_dict(task).sample.label
                run.failures[label] = str(error)
                run.reporter.say(f"{label} failed: {error}")

        prepare = partial(_prepare, tasks[0].model, tasks[0].base)
        here = make if len(tasks) == 1 else make_of_several
        for _ in make_pieces(run, _pieces(rest), options, here, prepare):
            finished += 1
            done(finished * views)
    if len(run.failures) == len(tasks):
        label, message = next(iter(run.failures.items()))
        raise BatchError(f"all {len(tasks)} objects failed; {label}: {message}")
    run.sort([path for task in tasks for path in task.outputs])


def _note(notes: Notes, task: ObjectTask, line: str) -> None:
    first, *others = task.outputs
    notes.add(first, f"{task.sample.label}, {line}")
    for path in others:
        notes.add(path, f"belongs to {first}")


def _write_labels(run: Run, tasks: Sequence[ObjectTask], generator: Generator, path: Path, options: RunOptions) -> None:
    """Write the labels of all objects that were made; of a set that is resumed, too."""
    made = [task for task in tasks if task.sample.label not in run.failures]
    objects = [
        Labelled(
            task.sample,
            [f"{task.files.name}/{task.files.picture(index).as_posix()}" for index in range(task.options.views)],
            place_cameras(generator, task.sample, task.options),
        )
        for task in made
    ]
    write_labels(path, objects, tasks[0].options.file_format, overwrite=options.replaces)
    run.add(path, f"labels of {sum(len(one.pictures) for one in objects):,} pictures")


def _next(task: ObjectTask, run: Run, options: RunOptions) -> str:
    """Suggest what to do with the set, where it is on this machine."""
    if run.store is not None:
        return ""
    if task.options.is_set:
        pictures = shlex.quote(str(Path(task.target) / PICTURES))
        return f"gen3d train {pictures} --recipe {task.options.file_format} -o runs/mine"
    sample = f"{options.after(task.model)}{task.sample.options_at(task.psi)}"
    if task.options.file_format == "nerfstudio":
        return f"gen3d video {sample} --path {shlex.quote(str(task.outputs[0] / TRANSFORMS_NAME))}"
    return f"gen3d mesh {sample}"
