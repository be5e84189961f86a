"""`gen3d invert` with a network that goes from a photo straight to a field: one pass, and no stages but the refining.

The result folder is a model of its own: the object's planes in float16 and the decoder, about 1 MB.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.checkpoints.source import open_source
from gen3d_tools.errors import InputError
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.reconstructors.picture import encoder_picture, on_grey, squared
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.inversion.refine import refine
from gen3d_tools.inversion.results.overview import NEW_VIEWS, around, look
from gen3d_tools.inversion.results.storage import OVERVIEW_NAME, PHOTO_NAME
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.media.images import depth_picture, write_image
from gen3d_tools.media.photos import OpenedPhoto, open_mask, open_photo
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.metrics.pictures import psnr
from gen3d_tools.photos.background import Cutout, Separation, cut_out
from gen3d_tools.photos.photo import Photo, refuse_doubtful
from gen3d_tools.photos.several import say_several
from gen3d_tools.wording import option
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run

_SIZE = 224  # pixels of each picture in the overview
_SOLID = 0.5 / 255


@dataclass(frozen=True, kw_only=True)
class ReconstructionTask:
    """What is asked for."""

    photo: Path
    mask: Path | None
    background: Separation | Path
    preset: str
    settings: InversionSettings
    refine: bool
    object_number: int | None = None  # which of several objects in the photo, 1 = the largest; None = the largest

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's products: bfloat16 where the device computes in it, but for the preset "best"."""
        return torch.float32 if self.preset == "best" else torch.bfloat16


def check_request(photos: Sequence[Path], unfit: dict[str, bool], *, steps: int | None, refine: bool) -> None:
    """Refuse what a network without latents cannot be asked.

    Args:
        photos: The photos.
        unfit: Options that belong to inversions with a generator, and whether each is given.
        steps: Of refining; None where nobody said.
        refine: Whether there are any.

    Raises:
        InputError: More than one photo, one of the options, or a number of steps where there are none.
    """
    if len(photos) != 1:
        raise InputError(f"this model makes an object of one photo, got {len(photos)}; give the best of them")
    typed = {"class_name": "--class"}
    given = [option(name, typed=typed.get(name, "")) for name, is_given in unfit.items() if is_given]
    if given:
        raise InputError(f"this model looks at the photo once, it has no latents; leave {', '.join(given)} out")
    if steps is not None and not refine:
        raise InputError(
            f"this model looks at the photo once; {option('steps')} are those of refining: leave them out, or ask for "
            f"{option('refine', True)}"
        )


def reconstruct(network: TripoSR, task: ReconstructionTask, run: Run, target: Path, *, overwrite: bool) -> Run:
    """Make an object of a photo and write it as a model folder.

    Args:
        network: Looks at the photo.
        task: What is asked for.
        run: Takes note of the result; in a dry run the photo is prepared, and nothing else is done.
        target: The folder to make.
        overwrite: Replace an earlier result.

    Raises:
        Gen3DError: The photo cannot be read, has no object in it, or the result cannot be written.
    """
    rgba, notes = prepare(task)
    for line in notes:
        run.reporter.say(line)
    square = squared(rgba, name=task.photo.name) if rgba[..., 3].min() < 255 else _middle(rgba)
    picture = encoder_picture(on_grey(square), network.config.image_resolution)
    steps = task.settings.stage_two.steps if task.refine else 0
    if run.dry_run:
        run.add(target, "an object, in one pass" + (f" and {steps} steps of refining" if steps else ""))
        return run
    made = network.reconstruct(picture, dtype=task.dtype)
    photo = _on_white(square, task.photo)
    if task.refine:
        made = _refined(made, photo, task, run.reporter)
    made.planes.data = made.planes.half().float()  # as they are stored
    made.settings = replace(made.settings, provenance=_provenance(network, task, run, steps))
    overview, seen = _overview(made, photo)
    with atomic_path(target, overwrite=overwrite) as temporary:
        made.save_compact(temporary, card=_card(target.name, network, task))
        write_image(temporary / PHOTO_NAME, photo.rgb)
        write_image(temporary / OVERVIEW_NAME, overview)
        run.note(target)
        run.details |= {"input_view_psnr_db": seen, "warnings": list(notes), "steps": steps}
        run.details["result_sha256"] = open_source(temporary, str(target)).digest()
        run.write_inside(temporary)
    refined = f", refined in {steps} steps" if steps else ""
    run.reporter.made(target, f"an object in one pass{refined}; the photo's own view at {seen:.1f} dB")
    run.reporter.say(f"side by side: {target / OVERVIEW_NAME}")
    return run.finish(next_command=f"gen3d video {shlex.quote(str(target))}")


def prepare(task: ReconstructionTask) -> tuple[UInt8[np.ndarray, "h w 4"], tuple[str, ...]]:
    """Open the photo and find its object.

    Returns:
        Colours and opacity in 8 bits, and what a person should know, one line each.
    """
    opened = open_photo(task.photo)
    notes, mask = list(opened.notes), None
    if task.mask is not None:
        mask, mask_notes = open_mask(task.mask, (opened.rgb.shape[-2], opened.rgb.shape[-1]))
        notes += mask_notes
    cutout = cut_out(opened, task.background, mask, task.object_number)
    if task.background == "auto" and cutout.confidence is not None:
        refuse_doubtful(task.photo.name, cutout.confidence.doubts)
    if cutout.objects > 1 and task.object_number is None:
        notes.append(say_several(task.photo.name, cutout.objects))
    if cutout.method in ("border", "rembg"):
        notes.append(f"{task.photo.name}: the object was separated by {cutout.method}; if it is wrong, give a mask")
    if cutout.method == "none":
        notes.append(f"{task.photo.name}: nothing was separated; this model was trained with objects on grey")
    return rgba_of(opened, cutout), tuple(notes)


def rgba_of(opened: OpenedPhoto, cutout: Cutout) -> UInt8[np.ndarray, "h w 4"]:
    """Give an object's own colours and its opacity; of a photo with transparency, those of the file."""
    rgb = opened.rgb
    if cutout.method not in ("alpha", "none"):  # what was separated has no rim of the old background on white
        rgb = (cutout.rgb - (1 - cutout.mask)) / cutout.mask.clamp_min(_SOLID)
    both = torch.cat([rgb.clamp(0, 1), cutout.mask])
    rgba: UInt8[np.ndarray, "h w 4"] = (both * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return rgba


def _middle(rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "n n 4"]:
    """The middle square of a picture that is all object."""
    height, width = rgba.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgba[top : top + side, left : left + side]


def _on_white(square: UInt8[np.ndarray, "n n 4"], source: Path) -> Photo:
    unit = torch.from_numpy(square.astype(np.float32) / 255).permute(2, 0, 1)
    rgb, mask = unit[:3], unit[3:]
    return Photo(rgb * mask + 1 - mask, mask, str(source))


def _refined(made: Reconstruction, photo: Photo, task: ReconstructionTask, reporter: Reporter) -> Reconstruction:
    with reporter.progress("refining", task.settings.stage_two.steps) as done:

        def tell(step: int, steps: int, loss: float) -> None:
            done(step)
            reporter.describe(f"refining {step}/{steps}, loss {loss:.4f}")

        return refine(made, photo, task.settings, progress=tell)


def _resized(rgb: Float[Tensor, "3 h w"], size: int) -> Float[Tensor, "3 n n"]:
    return torch.nn.functional.interpolate(rgb[None], (size, size), mode="bilinear", antialias=True)[0]


def _provenance(network: TripoSR, task: ReconstructionTask, run: Run, steps: int) -> dict[str, Any]:
    """What the object was made of; names and no paths: a result may be passed on."""
    precision = str(task.dtype).removeprefix("torch.")
    made_by = {"photo": task.photo.name, "model": Path(run.model).name, "model_sha256": run.model_sha256}
    return {**network.settings.provenance, **made_by, "precision": precision, "refined_steps": steps}


def _overview(made: Reconstruction, photo: Photo) -> tuple[Float[Tensor, "3 height width"], float]:
    """Draw the photo as the network was given it, its mask, the object from its camera, three new views and the depth.

    Returns:
        The picture, and the PSNR in dB of the object's picture from its camera against the photo.
    """
    [field] = made.fields(made.no_latents())  # one for all pictures: what is laid out for the first serves the others
    assert made.pivot is not None
    front = look(field, made.default_camera(), made.settings, _SIZE)
    views = look(field, around(made.pivot, made.settings, NEW_VIEWS), made.settings, _SIZE)
    given, mask = _resized(photo.rgb, _SIZE), _resized(photo.mask.expand(3, -1, -1), _SIZE)
    row = [given, mask, front.rgb, *views.rgb, depth_picture(front.depth, front.opacity)]
    turns = [f"{turn:+g}°" if abs(turn) < 180 else f"{turn:g}°" for turn in NEW_VIEWS]
    sheet = contact_sheet([[image.cpu() for image in row]], None, ["photo", "mask", "object", *turns, "depth"])
    return sheet, float(psnr(front.rgb.cpu(), given))


def _card(name: str, network: TripoSR, task: ReconstructionTask) -> str:
    """Write the model card of an object."""
    return f"""# {name}

One object, made from a photo by a {network.family} model; licence of that model: {network.settings.licence}.

    gen3d video {name}
    gen3d mesh {name} --texture 1024 -o {name}.glb
"""
