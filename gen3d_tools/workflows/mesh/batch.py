"""Many samples in one call of `gen3d mesh`: a failure of one does not stop the others."""

import base64
import io
import json
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.batch.pieces import Maker, Notes, Piece, Prepare
from gen3d_tools.errors import ENDS_BATCH, BatchError, Gen3DError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.extraction.lattice import Progress
from gen3d_tools.media.images import encode_pixels, from_uint8, to_uint8, write_image
from gen3d_tools.workflows.mesh.options import (
    NOTES_FOLDER,
    SHEET_NAME,
    Files,
    MeshOptions,
    OutputOptions,
    written_files,
)
from gen3d_tools.workflows.mesh.preview import STRIP_SIZE
from gen3d_tools.workflows.mesh.sample import MadeMesh, MeshTask, make_sample
from gen3d_tools.workflows.running.batches import make_pieces
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.sheets import samples_sheet

_ALREADY = "there already"


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What the table and the sheet of a batch say of a sample."""

    row: dict[str, str]
    picture: Float[Tensor, "3 h w"] | None = None
    failed: bool = False


def pieces_of(plan: Sequence[Files], job: MeshTask) -> list[Piece]:
    """A piece for each sample."""
    return [
        Piece(
            name=files.sample.label,
            task=files,
            outputs=_outputs(files, job),
            facts={"seed": files.sample.seed, "class": files.sample.class_name or None},
        )
        for files in plan
    ]


def prepare(
    model: str, base: str | None, psi: float, surface: MeshOptions, delivery: OutputOptions, device: str
) -> Maker:
    """Load in another process what makes meshes."""
    generator = load_generator(model, device=device, base=base)
    return partial(_make_elsewhere, MeshTask(generator, psi, surface, delivery, True, Reporter()))


def _make_elsewhere(job: MeshTask, files: Files, notes: Notes) -> None:
    """Mesh one of several samples in a process of its own; what is said of it goes into its note."""
    made = make_sample(files, job, notes, lambda now, of: None, draw=True)
    _write_note(files.note, _Outcome(_row(files, made), made.picture))


def make_all(
    plan: Sequence[Files],
    job: MeshTask,
    run: Run,
    folder: Path,
    whole: Container[Path],
    options: RunOptions,
    elsewhere: Prepare,
) -> None:
    """Mesh every sample and note in `run` what was made and what failed.

    Several samples get a table in `run.summary`, and their pictures in one contact sheet.

    Args:
        plan: The samples and their files.
        job: How.
        run: Takes notes.
        folder: Where the contact sheet goes.
        whole: Files that need not be made again.
        options: How many processes share the work.
        elsewhere: Loads in another one what makes meshes.

    Raises:
        Gen3DError: The only sample failed.
        BatchError: Every sample failed.
    """
    if len(plan) == 1:
        _make_one(plan[0], job, run, whole)
        return
    if all(_is_there(files, job, whole) for files in plan) and (folder / SHEET_NAME in whole or not _has_sheet(plan)):
        for files in plan:
            _add_all(files, job, run)
        if _has_sheet(plan):
            run.add(folder / SHEET_NAME, _ALREADY)
        return
    run.in_table = True
    outcomes = _outcomes(plan, job, run, whole, options, elsewhere)
    if all(outcome.failed for outcome in outcomes):
        label, message = next(iter(run.failures.items()))
        raise BatchError(f"all {len(plan)} samples failed; {label}: {message}")
    run.in_table = False
    run.summary = [outcome.row for outcome in outcomes]
    _write_sheet(plan, outcomes, job, run, folder / SHEET_NAME)
    if not run.failures:
        _remove_notes(plan, run, folder)


def _outcomes(
    plan: Sequence[Files], job: MeshTask, run: Run, whole: Container[Path], options: RunOptions, elsewhere: Prepare
) -> list[_Outcome]:
    """Mesh the samples that are not whole, and give what the table says of each, in the order of the plan."""
    points = job.surface.resolution**3
    found: dict[str, _Outcome] = {}
    for files in plan:
        if files.note in whole and _is_there(files, job, whole):
            found[files.sample.label] = _read_note(run.fetch(files.note))
            _add_all(files, job, run)
    rest = [files for files in plan if files.sample.label not in found]
    with job.reporter.progress("meshing, lattice points", len(plan) * points) as done:

        def make(files: Files, _: Notes) -> _Outcome:
            before = len(found) * points
            return _make(files, job, run, lambda now, _: done(before + now))

        for piece, outcome in make_pieces(run, pieces_of(rest, job), options, make, elsewhere):
            found[piece.name] = _read_note(run.fetch(piece.task.note)) if outcome is None else outcome
            done(len(found) * points)
    for files in rest:
        label = files.sample.label
        found.setdefault(label, _failed(files, run.failures.get(label, "")))
    run.sort([path for files in plan for path in _outputs(files, job)])
    return [found[files.sample.label] for files in plan]


def _outputs(files: Files, job: MeshTask) -> list[Path]:
    return written_files(files, textured=job.surface.texture is not None)


def _make_one(files: Files, job: MeshTask, run: Run, whole: Container[Path]) -> None:
    """Mesh the only sample of a run."""
    if _is_there(files, job, whole):
        _add_all(files, job, run)
        return
    with job.reporter.progress("meshing, lattice points", job.surface.resolution**3) as done:
        try:
            make_sample(files, job, run, lambda now, _: done(now), draw=False)
        except Gen3DError as error:
            raise type(error)(f"{files.sample.label}: {error}") from error


def _make(files: Files, job: MeshTask, run: Run, progress: Progress) -> _Outcome:
    """Mesh one of several samples, and keep what is said of it until all of them are made."""
    try:
        made = make_sample(files, job, run, progress, draw=True)
    except ENDS_BATCH:
        raise
    except Gen3DError as error:
        message = str(error)
    except (MemoryError, RuntimeError, ValueError, ArithmeticError, LookupError) as error:
        message = f"unexpected {type(error).__name__}: {error}"
    else:
        outcome = _Outcome(_row(files, made), made.picture)
        _write_note(files.note, outcome)
        return outcome
    run.failures[files.sample.label] = message
    job.reporter.say(f"{files.sample.label} failed: {message}")
    return _failed(files, message)


def _failed(files: Files, message: str) -> _Outcome:
    """Say in the table that a sample failed; files of it that are complete stay."""
    return _Outcome({**_empty_row(files), "seconds": "", "result": f"failed: {message}"}, failed=True)


def _has_sheet(plan: Sequence[Files]) -> bool:
    return any(files.needs_mesh for files in plan)


def _is_there(files: Files, job: MeshTask, whole: Container[Path]) -> bool:
    return all(path in whole for path in _outputs(files, job))


def _add_all(files: Files, job: MeshTask, run: Run) -> None:
    """Note the files of a sample that were made by an earlier run."""
    for path in _outputs(files, job):
        run.add(path, f"{files.sample.label}, {_ALREADY}")


def _empty_row(files: Files) -> dict[str, str]:
    return {"sample": files.sample.label, "faces": "", "watertight": "", "parts": "", "IoU": "", "PSNR": ""}


def _row(files: Files, made: MadeMesh) -> dict[str, str]:
    """Say in a table's row what was made of a sample."""
    row = _empty_row(files)
    if made.health is not None:
        row |= {"faces": f"{made.health.faces:,}", "parts": str(made.health.parts)}
        row["watertight"] = "yes" if made.health.watertight else "no"
    if made.agreement is not None:
        row |= {"IoU": f"{made.agreement.silhouette_iou:.4f}", "PSNR": f"{made.agreement.color_psnr:.1f} dB"}
    names = ", ".join(path.name for path in files.all)
    return row | {"seconds": f"{made.seconds:.1f}", "result": names}


def _write_note(path: Path, outcome: _Outcome) -> None:
    """Keep what the table and the sheet will say; the sheet has 8 bits as the picture here."""
    picture = None
    if outcome.picture is not None:
        buffer = io.BytesIO()
        encode_pixels(buffer, to_uint8(outcome.picture))
        picture = base64.b64encode(buffer.getvalue()).decode()
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps({"row": outcome.row, "picture": picture}), encoding="utf-8")


def _read_note(path: Path) -> _Outcome:
    """Read what was kept; the run's record proves that we wrote it."""
    content = json.loads(path.read_bytes())
    if content["picture"] is None:
        return _Outcome(content["row"])
    return _Outcome(content["row"], from_uint8(iio.imread(base64.b64decode(content["picture"]), plugin="pillow")))


def _remove_notes(plan: Sequence[Files], run: Run, folder: Path) -> None:
    """Forget what was kept: the table and the sheet are there."""
    for files in plan:
        run.discard(files.note)
    with suppress(OSError):
        (folder / NOTES_FOLDER).rmdir()
    run.files = {name: proof for name, proof in run.files.items() if not name.startswith(f"{NOTES_FOLDER}/")}


def _write_sheet(plan: Sequence[Files], outcomes: Sequence[_Outcome], job: MeshTask, run: Run, path: Path) -> None:
    """Show all meshes in one picture; a failed one leaves its place empty."""
    if not _has_sheet(plan):
        return
    blank = torch.ones(3, STRIP_SIZE, STRIP_SIZE)
    pictures = [blank if outcome.picture is None else outcome.picture for outcome in outcomes]
    sheet = samples_sheet([files.sample for files in plan], [[picture] for picture in pictures], ["mesh"])
    write_image(path, sheet, overwrite=job.overwrite)
    run.add(path, f"{len(plan)} meshes, {sheet.shape[-1]} x {sheet.shape[-2]} pixels")
