"""Many samples in one call of `gen3d mesh`: a failure of one does not stop the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gen3d_tools.errors import BatchError, Gen3DError
from gen3d_tools.media.images import write_image
from gen3d_tools.workflows.mesh.options import SHEET_NAME, Files
from gen3d_tools.workflows.mesh.preview import STRIP_SIZE
from gen3d_tools.workflows.mesh.sample import MadeMesh, MeshTask, make_sample
from gen3d_tools.workflows.runs import Run
from gen3d_tools.workflows.sample import samples_sheet


@dataclass(frozen=True)
class Failure:
    """Why there is nothing of a sample."""

    message: str


def make_all(plan: Sequence[Files], job: MeshTask, run: Run, folder: Path) -> None:
    """Mesh every sample and note in `run` what was made and what failed.

    Several samples get a table in `run.summary`, and their pictures in one contact sheet.

    Args:
        plan: The samples and their files.
        job: How.
        run: Takes notes.
        folder: Where the contact sheet goes.

    Raises:
        Gen3DError: The only sample failed.
        BatchError: Every sample failed.
    """
    alone = len(plan) == 1
    points = job.surface.resolution**3
    results: list[MadeMesh | Failure] = []
    with job.reporter.progress("meshing, lattice points", len(plan) * points) as done:
        for index, files in enumerate(plan):

            def progress(now: int, _: int, before: int = index * points) -> None:
                done(before + now)

            try:
                results.append(make_sample(files, job, run, progress, draw=not alone))
            except Gen3DError as error:
                if alone:
                    raise type(error)(f"{files.sample.label}: {error}") from error
                results.append(_failed(files, str(error), job, run))
            except (MemoryError, RuntimeError, ValueError, ArithmeticError, LookupError) as error:
                if alone:
                    raise
                results.append(_failed(files, f"unexpected {type(error).__name__}: {error}", job, run))
            done((index + 1) * points)
    if all(isinstance(result, Failure) for result in results):
        label, message = next(iter(run.failures.items()))
        raise BatchError(f"all {len(plan)} samples failed; {label}: {message}")
    if not alone:
        run.lines.clear()  # the table says it
        run.summary = [_row(files, result) for files, result in zip(plan, results, strict=True)]
        _write_sheet(plan, results, job, run, folder / SHEET_NAME)


def _failed(files: Files, message: str, job: MeshTask, run: Run) -> Failure:
    """Note that a sample failed; files of it that are complete stay."""
    run.failures[files.sample.label] = message
    job.reporter.say(f"{files.sample.label} failed: {message}")
    return Failure(message)


def _row(files: Files, result: MadeMesh | Failure) -> dict[str, str]:
    """Say in a table's row what became of a sample."""
    row = {"sample": files.sample.label, "faces": "", "watertight": "", "parts": "", "IoU": "", "PSNR": ""}
    if isinstance(result, Failure):
        return row | {"seconds": "", "result": f"failed: {result.message}"}
    if result.health is not None:
        row |= {"faces": f"{result.health.faces:,}", "parts": str(result.health.parts)}
        row["watertight"] = "yes" if result.health.watertight else "no"
    if result.agreement is not None:
        row |= {"IoU": f"{result.agreement.silhouette_iou:.4f}", "PSNR": f"{result.agreement.color_psnr:.1f} dB"}
    names = ", ".join(path.name for path in files.all)
    return row | {"seconds": f"{result.seconds:.1f}", "result": names}


def _write_sheet(
    plan: Sequence[Files], results: Sequence[MadeMesh | Failure], job: MeshTask, run: Run, path: Path
) -> None:
    """Show all meshes in one picture; a failed one leaves its place empty."""
    if not any(files.needs_mesh for files in plan):
        return
    blank = torch.ones(3, STRIP_SIZE, STRIP_SIZE)
    pictures = [blank if isinstance(made, Failure) or made.picture is None else made.picture for made in results]
    sheet = samples_sheet([files.sample for files in plan], [[picture] for picture in pictures], ["mesh"])
    write_image(path, sheet, overwrite=job.overwrite)
    run.add(path, f"{len(plan)} meshes, {sheet.shape[-1]} x {sheet.shape[-2]} pixels")
