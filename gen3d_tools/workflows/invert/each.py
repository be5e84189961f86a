"""`gen3d invert --each`: every photo shows an object of its own, and becomes a result folder named after it."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gen3d_tools.batch.pieces import Maker, Notes, Piece
from gen3d_tools.errors import ENDS_BATCH, BatchError, Gen3DError, InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.inversion.results.storage import base_reference, check_base
from gen3d_tools.inversion.results.unfinished import Unfinished
from gen3d_tools.records import Proof
from gen3d_tools.wording import option
from gen3d_tools.workflows.invert.checks import check_model, check_options
from gen3d_tools.workflows.invert.run import InversionRequest, PhotoOptions, WorkOptions, base_option, invert_with
from gen3d_tools.workflows.running.batches import load_here, make_pieces, manifest_paths, write_manifests
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.inputs import input_digest
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions


def invert_each(
    photos: Sequence[Path],
    *,
    model: str = "shapes",
    about: PhotoOptions | None = None,
    work: WorkOptions | None = None,
    refine: bool = False,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Rebuild the objects of many photos, each a piece of work of its own.

    A photo that cannot be rebuilt is listed, and the others are. A photo under way when a run ends before its time goes
    on from its last state with `resume`.

    Args:
        photos: Picture files, of different names; one that is named twice is taken once.
        model: Whatever `load_generator` takes, but a result.
        about: How photos are prepared, and what is known about all of them; no masks.
        work: How much work is done for each.
        refine: See `invert`.
        options: The folder of the results, and how many processes share the work.
        reporter: Takes messages and progress.

    Returns:
        The run; `check_failures` tells which photos failed.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`; a BatchError if no photo could be rebuilt.
        Interrupted: Ctrl-C, or another signal that ends programs.
    """
    photos = list(dict.fromkeys(photos))
    about, work, reporter = about or PhotoOptions(), work or WorkOptions(), reporter or Reporter()
    options = options or RunOptions()
    work.settings()
    _check(photos, about, options)
    target = options.target("invert", model, ["each"])
    pieces = [
        Piece(name=photo.name, task=photo, outputs=[target / photo.stem], facts={"photo": photo.as_posix()})
        for photo in photos
    ]
    generator = load_here(model, options)
    request = InversionRequest(photos=(), model=model, about=about, work=work, target=target, refine=refine)
    check_model(generator, replace(request, photos=photos[:1]))
    if not isinstance(generator, TripoSR):
        check_options(generator, request, photos)
    run = Run("invert", model, request.options, dry_run=options.dry_run, reporter=reporter)
    run.options |= {"camera_sha256": input_digest(request.about.camera)}
    run.options |= {"features_sha256": input_digest(request.work.features)}
    run.options |= {"each": True, "refine": refine, "photos": {photo.name: Proof.of(photo).sha256 for photo in photos}}
    manifests = manifest_paths(target, options)
    folders = [target / photo.stem for photo in photos]
    whole = claim(run, [*folders, *manifests], target, options, reads=[*photos, *about.masks])
    if options.dry_run:
        for piece in pieces:
            run.add(piece.outputs[0], f"the object of {piece.name}")
        return run
    here = partial(_make, generator, request, options.replaces, options.resume)
    elsewhere = partial(_prepare, request, options.base, options.resume)
    rest = [piece for piece in pieces if piece.outputs[0] not in whole]
    with run.recording():
        write_manifests(manifests, pieces, run)
        for folder in folders:
            if folder in whole:
                run.add(folder, "there already")
        with reporter.progress("inverting photos", len(rest)) as done:
            for count, (piece, failure) in enumerate(make_pieces(run, rest, options, here, elsewhere), start=1):
                if failure is not None:
                    run.failures[piece.name] = failure
                done(count)
        run.sort(folders)
    if len(run.failures) == len(photos):
        name, message = next(iter(run.failures.items()))
        raise BatchError(f"none of {len(photos)} photos could be rebuilt; {name}: {message}")
    first = next(folder for folder, photo in zip(folders, photos, strict=True) if photo.name not in run.failures)
    tuned = not isinstance(generator, TripoSR)
    base = base_option(first, base_reference(check_base(generator)), model) if tuned else ""
    return run.finish(next_command=f"gen3d video {shlex.quote(str(first))}{base}")


def _check(photos: Sequence[Path], about: PhotoOptions, options: RunOptions) -> None:
    """Refuse what cannot be meant, before any work."""
    if not photos:
        raise InputError("no photo is named; give one or more picture files")
    about.check(1)
    if about.masks:
        raise InputError(f"a mask belongs to one photo; leave {option('each', True)} out, or the mask")
    if options.file is not None:
        raise InputError(f"{options.out} is one file, and results are folders; name a folder: {options.folder_instead}")
    names: dict[str, Path] = {}
    for photo in photos:
        if not photo.is_file():
            raise NotFoundError(f"no photo {photo}")
        if photo.stem in (".", ".."):  # the folder of all results, or the one above it, would be replaced
            raise InputError(f"a result is called after its photo, and {photo} leaves no name; rename it")
        if other := names.get(photo.stem):
            raise InputError(f"{other} and {photo} would both become the folder {photo.stem}; rename one of them")
        names[photo.stem] = photo


def _prepare(request: InversionRequest, base: str | None, resume: bool, device: str) -> Maker:
    """Load in another process what rebuilds objects."""
    return partial(_make, load_generator(request.model, device=device, base=base), request, True, resume)


def _make(
    generator: Generator | TripoSR, request: InversionRequest, overwrite: bool, resume: bool, photo: Path, notes: Notes
) -> str | None:
    """Rebuild the object of a photo; why that cannot be done is an answer, which no second try would change."""
    target, lines = request.target / photo.stem, _Lines()
    goes_on = resume and Unfinished(target, {}).path.is_file()
    try:
        mine = replace(request, photos=(photo,), target=target, overwrite=overwrite, resume=goes_on)
        made = invert_with(generator, mine, lines)
    except ENDS_BATCH:
        raise
    except Gen3DError as error:
        return str(error)
    notes.add(target, lines.of.get(target, ""), **made.details)
    return None


class _Lines(Reporter):
    """Keeps what is said of each output."""

    def __init__(self) -> None:
        self.of: dict[Path | str, str] = {}

    def made(self, path: Path | str, line: str = "", *, planned: bool = False) -> None:
        """Keep the line."""
        self.of[path] = line
