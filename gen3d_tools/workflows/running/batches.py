"""The work of a run in pieces: made here one after the other, or spread over processes; the record is the same."""

import pickle
import secrets
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from gen3d_tools.batch.engine import Engine, drive
from gen3d_tools.batch.options import threads_each
from gen3d_tools.batch.pieces import MANIFEST_NAME, Maker, Piece, Prepare, write_manifest
from gen3d_tools.batch.processes import Processes
from gen3d_tools.batch.ray_engine import RayCluster
from gen3d_tools.batch.worker import Job, versions
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import choose_device, load_generator
from gen3d_tools.kernels.compiling.threads import steady_torch
from gen3d_tools.staging import remove_leftovers
from gen3d_tools.wording import are_options_typed
from gen3d_tools.workflows.running.reporting import PieceEvent
from gen3d_tools.workflows.running.runs import Run, RunOptions


def load_here(model: str, options: RunOptions) -> Generator:
    """Load a model for a run: where others make its pieces, this process only asks for names, and takes no GPU.

    Raises:
        Gen3DError: The model cannot be loaded, or a device is not there.
    """
    options.batch.check(options.device)
    if not options.batch.spreads(options.device):
        return load_generator(model, device=options.device, base=options.base)
    if options.batch.ray is None:
        for device in dict.fromkeys(options.batch.spread(options.device)):
            choose_device(device)
    return load_generator(model, device="cpu", base=options.base)


def manifest_paths(target: Path, options: RunOptions) -> list[Path]:
    """Name the manifest among the outputs of a run, where one is written: a folder of outputs, made by workers."""
    return [target / MANIFEST_NAME] if options.batch.asked and options.file is None else []


def make_pieces(
    run: Run, pieces: Sequence[Piece], options: RunOptions, maker: Maker, prepare: Prepare
) -> Iterator[tuple[Piece, Any]]:
    """Make pieces, and note their outputs in a run that is recording.

    Where workers are asked for, be it one, torch has one thread in each process: on CPUs the files have the same bytes
    whatever their number.

    Without workers they are made here, in their order, and an error is raised. With workers they are given in the
    order in which they are finished; one that fails three times is listed in `run.failures`, and not given. Who has
    taken all of them calls `run.sort` with the outputs as planned.

    Args:
        run: Takes note of outputs, proofs and failures.
        pieces: Those that are not whole yet.
        options: How many workers, and on which devices.
        maker: Makes pieces in this process; replaces no more than the options allow.
        prepare: Gives the same in another process; its writers replace what an earlier try has left.

    Yields:
        Each piece that is made, with what its maker returned.

    Raises:
        Gen3DError: A piece cannot be made here, or no worker can make any.
    """
    if not options.batch.spreads(options.device) or not pieces:
        for piece in pieces:
            with steady_torch() if options.batch.asked else nullcontext():
                value = maker(piece.task, run)
            yield piece, value
        return
    try:
        yield from _spread(run, pieces, begin_engine(run, prepare, options, len(pieces)))
    finally:
        for folder in dict.fromkeys(output.parent for piece in pieces for output in piece.outputs):
            remove_leftovers(folder)  # of processes that were killed
    run.failures = {piece.name: run.failures[piece.name] for piece in pieces if piece.name in run.failures}


def begin_engine(run: Run, prepare: Prepare, options: RunOptions, pieces: int) -> Engine:
    """Begin what makes the pieces: processes here, no more than there are pieces, or a Ray cluster's.

    Raises:
        Gen3DError: The cluster is not there, or does not fit.
    """
    job = Job(secrets.token_hex(8), pickle.dumps(prepare), are_options_typed(), Path.cwd(), run.store, versions())
    batch = options.batch
    if batch.ray is not None:
        return RayCluster(job, batch.ray, batch.workers, options.device.strip().lower())
    devices = batch.spread(options.device)[:pieces]
    return Processes(job, devices, threads_each(devices))


def _spread(run: Run, pieces: Sequence[Piece], engine: Engine) -> Iterator[tuple[Piece, Any]]:
    """Let an engine make the pieces; this process keeps the record."""
    finished = drive(pieces, engine, lambda piece: run.begin(piece.outputs))
    for done, (piece, made) in enumerate(finished, start=1):
        error = None if made.failure is None else made.failure.message
        run.prove(made.files, piece.outputs if error is None else ())
        for note in made.notes:
            run.add(note.path, note.line, **note.details)
        if error is not None:
            run.failures[piece.name] = error
        event = PieceEvent(
            piece=piece.name,
            done=done,
            of=len(pieces),
            failed=len(run.failures),
            tries=made.tries,
            seconds=round(made.seconds, 3),
            error=error,
        )
        run.reporter.piece(event)
        if error is None:
            yield piece, made.value


def write_manifests(paths: Sequence[Path], pieces: Sequence[Piece], run: Run) -> None:
    """Write what `manifest_paths` names, with every piece of the run, also those that are whole."""
    for path in paths:
        if run.store is not None and run.store.exists(path):
            run.fetch(path)  # lines of other pieces stay
        write_manifest(path, pieces, run.reporter.say)
        run.note(path)
