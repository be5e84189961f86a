"""`gen3d invert`: photos in, a result folder out that every command takes for a model."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import MAX_SEED
from gen3d_tools.checkpoints.results import BaseModel
from gen3d_tools.errors import CheckpointError, Gen3DError, InputError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.generators.source import config_digest, find_source
from gen3d_tools.generators.tuned import find_base
from gen3d_tools.inversion.api import find_helpers
from gen3d_tools.inversion.presets import preset
from gen3d_tools.inversion.progress import StepReport
from gen3d_tools.inversion.pti import Inversion, check_settings
from gen3d_tools.inversion.refine import REFINING_STEPS
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.inversion.results.storage import OVERVIEW_NAME, base_reference, check_base, write_files
from gen3d_tools.inversion.results.unfinished import MODEL_CONFIG, Unfinished
from gen3d_tools.inversion.settings import Conditioning, InversionSettings, Space, Tune
from gen3d_tools.inversion.threads import steady_threads
from gen3d_tools.photos.background import check_separation
from gen3d_tools.photos.framing import measure_framing
from gen3d_tools.photos.photo import Photo, check_separated, load_photo
from gen3d_tools.workflows.align import FaceOptions
from gen3d_tools.workflows.invert.checks import check_model
from gen3d_tools.workflows.invert.faces import load_faces
from gen3d_tools.workflows.invert.familiarity import check_familiar
from gen3d_tools.workflows.invert.photo_cameras import read_known
from gen3d_tools.workflows.reconstruct import ReconstructionTask, reconstruct
from gen3d_tools.workflows.running.claims import claim_folder
from gen3d_tools.workflows.running.interrupts import Interrupted, between_steps, signal_of
from gen3d_tools.workflows.running.places import model_name, output_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

_STAGES = {"search": "searching", "stage_one": "latent and camera", "stage_two": "tuning"}
_WORDS = {"space": get_args(Space), "tune": get_args(Tune), "conditioning": get_args(Conditioning)}
_TICKS = 1000  # of the progress bar
MAX_STEPS = 100_000  # of both stages; the best preset takes 360
_FILE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".webm", ".glb", ".gltf", ".obj", ".ply", ".stl"}


@dataclass(frozen=True, kw_only=True)
class PhotoOptions:
    """How photos are prepared, and what is known about them."""

    masks: tuple[Path, ...] = ()  # for the first photos, in order
    background: str = "auto"
    class_name: str | None = None  # name or index; None = found out
    camera: str | None = None  # yaw,pitch[,fov] or a file; None = found out
    anyway: bool = False  # go on with a photo that shows nothing the model knows
    object_number: int | None = None  # which of several objects in a photo, 1 = the largest; None = the largest
    align: FaceOptions | None = None  # cut a face out first, and start from the camera of the crop

    def check(self, photos: int) -> None:
        """Refuse what cannot be meant, before any work.

        Raises:
            InputError: More masks than photos, or no such way to find the object.
        """
        check_separation(self.background)
        if self.object_number is not None and self.object_number < 1:
            raise InputError(f"object is {self.object_number}; 1 is the largest object, 2 the next")
        if self.align is not None:
            self.align.check(photos)
            if self.object_number is not None:
                raise InputError("--object is about objects; with --align it is --face that says which face is meant")
            if self.masks:
                raise InputError(
                    "a mask is the photo's, not that of the crop which --align makes; leave one of them out"
                )
        if len(self.masks) > photos:
            raise InputError(f"there are {len(self.masks)} masks for {photos} photos; give one each at most")


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """How much work is done."""

    preset: str = "balanced"
    steps: int | None = None  # of both stages; None = the preset's
    space: str | None = None  # "w" or "w+"; None = the preset's
    seed: int = 0
    features: str | None = None  # perceptual distance; None = the best at hand
    tune: str | None = None  # "all", "decoder" or "late"; None = the preset's
    conditioning: str | None = None  # "front" or "photo"; None = the preset's

    def settings(self) -> InversionSettings:
        """Give the settings that are meant.

        Raises:
            InputError: An option has a value that it cannot have.
        """
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"a seed must lie between 0 and {MAX_SEED}, got {self.seed}")
        if self.steps is not None and self.steps > MAX_STEPS:
            raise InputError(f"steps is {self.steps}; it must lie in 2..{MAX_STEPS}, a few hundred are enough")
        changes: dict[str, Any] = {"seed": self.seed}
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value is not None:
                if value not in words:
                    raise InputError(f"{name} is {value[:20]!r}; it must be {' or '.join(words)}")
                changes[name] = value
        settings = preset(self.preset).changed(**changes)
        return settings if self.steps is None else settings.with_steps(self.steps)


@dataclass(frozen=True, kw_only=True)
class InversionRequest:
    """The photos of one object, and what is to become of them."""

    photos: Sequence[Path]
    model: str
    about: PhotoOptions
    work: WorkOptions
    target: Path  # the result folder
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    refine: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Everything that was asked for as plain JSON values; photos by their names: a result may be passed on."""
        about, work = self.about, self.work
        masks = [mask.name for mask in about.masks]
        align = None if about.align is None else vars(about.align)
        names = [photo.name for photo in self.photos]
        return {"photos": names, **vars(about), "masks": masks, "align": align, **vars(work)}


def invert(
    photos: Sequence[Path],
    *,
    model: str = "shapes",
    about: PhotoOptions | None = None,
    work: WorkOptions | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    refine: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Rebuild the object of a photo, or of several photos of it, in 3D.

    Args:
        photos: Picture files; several show the same object and share its latent.
        model: Whatever `load_generator` takes, but a result.
        about: How the photos are prepared, and what is known about them.
        work: How much work is done.
        out: The result folder; None makes one in `gen3d-out`.
        device: "auto", "cpu", "cuda", ...
        resume: Go on with an interrupted run of the same command.
        overwrite: Replace an earlier result.
        dry_run: Check everything and say what would be done, without doing it.
        refine: Tune what a network without latents made around the photo; other models are tuned in any case.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
        Interrupted: Ctrl-C, or another signal that ends programs; the message says what was kept.
    """
    about, work = about or PhotoOptions(), work or WorkOptions()
    work.settings()
    about.check(len(photos))
    target = output_path(out) or output_folder("invert", model, [photos[0].stem])
    claim_folder(target, overwrite=overwrite, reads=[*photos, *about.masks], model=model)
    if target.suffix.lower() in _FILE_SUFFIXES and not str(out).endswith(("/", "\\")):
        raise InputError(f"{target} looks like a file, but a result is a folder; try -o {target.with_suffix('')}")
    request = InversionRequest(
        photos=photos,
        model=model,
        about=about,
        work=work,
        target=target,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        refine=refine,
    )
    return invert_with(load_generator(model, device=device), request, reporter or Reporter())


def invert_with(generator: Generator | TripoSR, request: InversionRequest, reporter: Reporter) -> Run:
    """Rebuild the object of a request with a model that is loaded.

    Raises:
        Gen3DError: See `invert`.
        Interrupted: See `invert`.
    """
    check_model(generator, request)
    if isinstance(generator, TripoSR):
        return _reconstruct(generator, request, reporter)
    about, target, settings = request.about, request.target, request.work.settings()
    base = base_reference(check_base(generator))
    label = None if about.class_name is None else class_index(about.class_name, generator.class_names)
    prepared, camera, moves = _prepare(request.photos, about, generator, label, reporter)
    check_settings(generator, settings, camera)
    run = Run("invert", request.model, request.options, dry_run=request.dry_run, reporter=reporter)
    encoder, distance = find_helpers(generator, request.work.features)
    if encoder is not None and not about.anyway:
        check_familiar(prepared, encoder, model_name(request.model))
    check_separated(prepared)
    unfinished = Unfinished(target, _job(run, prepared, settings, camera) | {"refine_camera": moves})
    if request.dry_run:
        if request.resume:
            unfinished.read()
        most = settings.for_pivot(0.0).stage_two.steps
        more = (
            f", {most} of stage two where stage one ends far from the photo" if most > settings.stage_two.steps else ""
        )
        run.add(target, f"a result of {settings.stage_one.steps} + {settings.stage_two.steps} steps{more}")
        return run
    with steady_threads(generator):
        task = Inversion(
            generator,
            prepared,
            camera=camera,
            refine_camera=moves,
            class_name=label,
            settings=settings,
            encoder=encoder,
            distance=distance,
            checkpoint=unfinished.write,
        )
        if request.resume:
            _resume(task, unfinished)
        _work(task, unfinished, run, target, base, overwrite=request.overwrite)
    unfinished.remove()
    return run.finish(next_command=f"gen3d video {shlex.quote(str(target))}{base_option(target, base, request.model)}")


def _reconstruct(network: TripoSR, request: InversionRequest, reporter: Reporter) -> Run:
    """Let a network without latents make the object."""
    about, work, settings = request.about, request.work, request.work.settings()
    task = ReconstructionTask(
        photo=request.photos[0],
        mask=about.masks[0] if about.masks else None,
        background=check_separation(about.background),
        preset=work.preset,
        settings=settings.changed(steps2=REFINING_STEPS[work.preset] if work.steps is None else work.steps),
        refine=request.refine,
        object_number=about.object_number,
    )
    options = {**request.options, "refine": request.refine}
    run = Run("invert", request.model, options, dry_run=request.dry_run, reporter=reporter)
    return reconstruct(network, task, run, request.target, overwrite=request.overwrite)


def base_option(target: Path, base: BaseModel, model: str) -> str:
    """What to type after the result so that its base is found; nothing for a bundled model, or one beside it."""
    try:
        find_base(target, base)
    except Gen3DError:
        return f" --base {shlex.quote(model)}"
    return ""


def _prepare(
    photos: Sequence[Path], about: PhotoOptions, generator: Generator, label: int | None, reporter: Reporter
) -> tuple[list[Photo], Camera | None, bool]:
    """Give the prepared photos, their cameras where they are known or begun with, and whether stage one moves those."""
    if about.align is None:
        prepared, start = _load_photos(photos, about, generator, label, reporter), None
    else:
        prepared, start = load_faces(photos, about.align, about.background, generator, reporter)
    if about.camera is not None:
        return prepared, read_known(about.camera, generator, photos, prepared), False
    return prepared, start, start is not None


def _load_photos(
    photos: Sequence[Path], about: PhotoOptions, generator: Generator, label: int | None, reporter: Reporter
) -> list[Photo]:
    """Prepare every photo, and say what was done to it."""
    framing, background = measure_framing(generator, label), check_separation(about.background)
    masks = [*about.masks, *[None] * (len(photos) - len(about.masks))]
    prepared = []
    for photo, mask in zip(photos, masks, strict=True):
        prepared.append(
            load_photo(
                photo,
                generator,
                mask=mask,
                background=background,
                framing=framing,
                object_number=about.object_number,
            )
        )
        for line in prepared[-1].warnings:
            reporter.say(line)
    return prepared


def _job(run: Run, photos: Sequence[Photo], settings: InversionSettings, camera: Camera | None) -> dict[str, Any]:
    """Say what a state belongs to; another photo, model or option is another job."""
    features = run.options["features"]
    if features is not None and Path(features).is_file():
        with Path(features).open("rb") as file:
            features = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "photos": [photo.digest for photo in photos],
        "model": run.model_sha256,
        MODEL_CONFIG: config_digest(find_source(run.model)),
        "class": run.options["class_name"],
        "camera": None if camera is None else camera.to_eg3d_label().tolist(),
        "settings": settings.to_dict(),
        "features": features,
    }


def _resume(task: Inversion, unfinished: Unfinished) -> None:
    """Go on where an interrupted run was.

    Raises:
        CheckpointError: What it kept is not what this version keeps.
    """
    state = unfinished.read()
    try:
        task.load_state(state)
    except Gen3DError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{unfinished.path} was kept by another version, or is broken; leave --resume out to start afresh"
        ) from error


def _work(task: Inversion, unfinished: Unfinished, run: Run, target: Path, base: BaseModel, *, overwrite: bool) -> None:
    """Run to the end, with a bar, and write the result; whatever happens, what there is is kept."""
    reporter = run.reporter
    try:
        with reporter.progress("inverting", _TICKS) as done, between_steps() as stop_if_asked:

            def tell(step: StepReport) -> None:
                stop_if_asked()
                done(round(_TICKS * step.share))
                reporter.describe(f"{_STAGES[step.stage]} {step.done}/{step.steps}, loss {step.loss:.4f}")
                if step.stage != "search":
                    reporter.picture(task.preview)

            task.progress = tell
            task.run()
        result = task.result()
        with atomic_path(target, overwrite=overwrite) as temporary:
            temporary.mkdir(parents=True)
            write_files(result, temporary, base)
            run.note(target)
            run.details |= _details(result)
            run.write_inside(temporary)
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted{unfinished.keep(task.state())}", number=signal_of(error)) from error
    except Gen3DError as error:
        raise type(error)(f"{error}{unfinished.keep(task.state())}") from error
    if unfinished.problem:
        reporter.say(f"the work could not be kept for --resume on the way: {unfinished.problem}")
    _report(result, target, reporter)


def _details(result: InversionResult) -> dict[str, Any]:
    """Give what was found as plain JSON values."""
    view = result.base.settings.default_view
    yaw, pitch, _ = (float(one) for one in result.camera.spherical(view.target))
    return {
        "class": result.class_name,
        "yaw_deg": yaw,
        "pitch_deg": pitch,
        "metrics": result.metrics,
        "warnings": [*result.warnings, *(line for photo in result.photos for line in photo.warnings)],
    }


def _report(result: InversionResult, target: Path, reporter: Reporter) -> None:
    """Tell how far to trust what was found, then what it is: nobody reads on after a path."""
    for line in (*[f"warning: {line}" for line in result.warnings], *result.advice):
        reporter.say(line)
    before, after = (result.metrics[stage]["psnr"] for stage in ("stage_one", "stage_two"))
    found = _details(result)
    what = f"{found['class'] or 'object'} seen from yaw {found['yaw_deg']:.0f}°, pitch {found['pitch_deg']:.0f}°"
    reporter.made(target, f"{what}; fit {result.fit}: {before:.1f} dB before tuning, {after:.1f} dB after")
    reporter.say(f"side by side: {target / OVERVIEW_NAME}")
