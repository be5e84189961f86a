"""From a prepared photo to a tuned generator: search, stage one, stage two, score (Roich et al. 2021)."""

import copy
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index as index_of
from gen3d_tools.generators.settings import config_for
from gen3d_tools.inversion.presets import preset
from gen3d_tools.inversion.progress import Checkpoint, Progress, Stage, State, StepReport
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.inversion.results.score import advice_for, input_scores, score, warnings_for
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.latent_prior import LatentPrior, latent_prior, typical_object
from gen3d_tools.inversion.stages.objective import Objective, target_of
from gen3d_tools.inversion.stages.revolution import ImpliedSilhouettes, implied_silhouettes
from gen3d_tools.inversion.stages.search import Candidate, Search, picture_side
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.inversion.stages.tuned_layers import tuned_names
from gen3d_tools.inversion.threads import steady_threads
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.perceptual import PerceptualDistance
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.differentiable import onset_width
from gen3d_tools.rendering.renderer import render

_SHARES: dict[Stage, tuple[float, float]] = {"search": (0.0, 0.25), "stage_one": (0.25, 0.6), "stage_two": (0.6, 1.0)}
"""Where each stage lies in the whole work, for progress."""


def invert(
    generator: Generator,
    photo: Photo,
    *,
    views: Sequence[Photo] = (),
    camera: Camera | None = None,
    refine_camera: bool = False,
    class_name: str | int | None = None,
    settings: InversionSettings | str = "balanced",
    encoder: PhotoEncoder | None = None,
    distance: PerceptualDistance | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    resume_state: State | None = None,
) -> InversionResult:
    """Rebuild the object of a photo in 3D.

    Args:
        generator: Stays as it is; the result holds a tuned copy.
        photo: Prepared, see `Photo`.
        views: Further photos of the same object; they share the latent.
        camera: If it is known, for every photo [photos], or a single one for a single photo. It is kept as it is.
        refine_camera: Let stage one move `camera` on from where it is.
        class_name: Name or index, if it is known.
        settings: Or the name of a preset: "fast", "balanced", "best".
        encoder: The model's, see `load_encoder`; without one the search takes longer and finds less.
        distance: Perceptual, see `choose_distance`; None compares pixels and structure alone.
        progress: Called after every step.
        checkpoint: Called every few seconds, and after each stage, with a state that `resume_state` takes.
        resume_state: Go on where that state was taken, with the same other arguments; the result is the same as
            without the interruption.

    Raises:
        InputError: Unknown class or preset, not one camera per photo, or a state of another inversion.
    """
    with steady_threads(generator):
        work = Inversion(
            generator,
            [photo, *views],
            camera=camera,
            refine_camera=refine_camera,
            class_name=class_name,
            settings=settings if isinstance(settings, InversionSettings) else preset(settings),
            encoder=encoder,
            distance=distance,
            progress=progress,
            checkpoint=checkpoint,
        )
        if resume_state is not None:
            work.load_state(resume_state)
        work.run()
        return work.result()


class Inversion:
    """An inversion at work. `result` gives what there is after any step, also of an interrupted one.

    The arguments are those of `invert`.
    """

    def __init__(
        self,
        generator: Generator,
        photos: Sequence[Photo],
        *,
        camera: Camera | None = None,
        refine_camera: bool = False,
        class_name: str | int | None = None,
        settings: InversionSettings,
        encoder: PhotoEncoder | None = None,
        distance: PerceptualDistance | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.base = generator
        self.generator = frozen(generator)
        self.photos, self.settings = tuple(photos), settings
        self.encoder, self.distance = encoder, distance
        self.progress, self.checkpoint = progress, checkpoint
        self.known_cameras = _one_per_photo(camera, len(photos), generator.device)
        self.camera_cond = _conditioning(generator, settings, self.known_cameras)
        self._finds_cameras = self.known_cameras is None or refine_camera
        self.config = None if self.known_cameras is None else config_for(self.known_cameras, generator.settings)
        self.classes = _possible_classes(generator, class_name)
        with torch.no_grad():
            field = self.generator.fields(generator.same_ws(self._prior(self.classes[0]).start))[0]
        self.targets = [target_of(photo, field, settings) for photo in photos]
        self.start: Candidate | None = None
        self.cameras: Camera | None = None
        self.one: StageOne | None = None
        self.two: StageTwo | None = None
        self._pivot_scores: dict[str, float] = {}  # once stage two has begun
        self._fields: dict[Generator, RadianceField] = {}  # the pivot's, with what pictures of it have found out
        self._saved = time.monotonic()

    @property
    def moves_cameras(self) -> bool:
        """Whether cameras are moved once the search is over: they are neither known nor to be kept."""
        return self._finds_cameras and self.settings.stage_one.camera_lr > 0

    def run(self) -> None:
        """Work until it is done."""
        self.find_start()
        one = self.first_stage()
        while not one.finished:
            loss = one.step()
            self._tell("stage_one", one.done, one.steps, loss)
        begins = self.two is None
        two = self.second_stage()
        if begins:  # not where `load_state` has set it up: that would put its step 0 over the state being resumed
            self._save()
        while not two.finished:
            loss = two.step()
            self._tell("stage_two", two.done, two.steps, loss)
        self._save()

    def find_start(self) -> Candidate:
        """Find class, first latent and first cameras."""
        if self.start is None:
            known, tell = self.known_cameras, self._tell_search
            search = Search(self.generator, self.settings, self.encoder, tell, self.config, self.camera_cond)
            first = None if known is None else known[0]
            self.start = search.find(self.photos[0], self.targets[0], self.classes, first)
            cameras = [self.start.camera]
            for index in range(1, len(self.photos)):
                photo, target = self.photos[index], self.targets[index]
                camera = search.further_camera(photo, target, self.start) if known is None else known[index]
                cameras.append(camera)
            self.cameras = stack_cameras(cameras)
            self._save()
        return self.start

    def first_stage(self) -> StageOne:
        """Set up stage one where it is not."""
        if self.one is None:
            start = self.find_start()
            assert self.cameras is not None
            self.one = StageOne(
                self.generator,
                self._prior(start.class_index),
                start.w,
                self.cameras,
                self._objective(self.generator.same_ws(start.w), self.settings.stage_one.rays),
                self.settings,
                move_camera=self.moves_cameras,
            )
        return self.one

    def second_stage(self) -> StageTwo:
        """Set up stage two where it is not."""
        if self.two is None:
            one = self.first_stage()
            self._pivot_scores = self._scores_of(one)
            settings, label = self.settings.for_pivot(self._pivot_scores["psnr"]), self.find_start().class_index
            objective = self._objective(one.ws(), self.settings.stage_two.rays)
            implied = self._implied(label, objective, one) if settings.stage_two.mirror_weight else None
            cameras = one.cameras() if implied is None else implied.cameras
            cond = self.camera_cond
            self.two = StageTwo(self.generator, one.ws(), cameras, objective, settings, label, implied, cond)
        return self.two

    def _implied(self, label: int | None, objective: Objective, one: StageOne) -> ImpliedSilhouettes | None:
        """What the symmetry of the class says of other sides."""
        typical = typical_object(self.generator, self._prior(label))
        return implied_silhouettes(typical, objective, one.cameras(), move=self.moves_cameras)

    def _newest_cameras(self) -> Camera:
        """The cameras so far: stage two may have moved them before it began, see `TurnedSilhouettes`."""
        return self.first_stage().cameras() if self.two is None else self.two.cameras

    def _scores_of(self, one: StageOne) -> dict[str, float]:
        """How well the pivot explains the photos, see `input_scores`."""
        with torch.no_grad():
            field, cameras = self.generator.fields(one.ws())[0], one.cameras()
            self._fields = {self.generator: field}
            return input_scores(field, cameras, self.targets, self.distance, config_for(cameras, self.base.settings))

    def result(self) -> InversionResult:
        """Give what there is."""
        start, one = self.find_start(), self.first_stage()
        ws, cameras = one.ws(), self._newest_cameras()
        with torch.no_grad():
            first = self._scores_of(one) if self.two is None else self._pivot_scores
        made = InversionResult(
            ws=ws,
            camera=cameras[0],
            class_index=start.class_index,
            generator=self.generator if self.two is None else self.two.tuned(),
            base=self.base,
            photos=self.photos,
            cameras=cameras,
            settings=self.settings,
            history={"stage_one": list(one.losses), "stage_two": [] if self.two is None else list(self.two.losses)},
            fields=dict(self._fields),
        )
        with torch.no_grad():
            config = config_for(cameras, self.base.settings)
            second = input_scores(made.field, cameras, self.targets, self.distance, config)
        prior = self._prior(start.class_index)
        layers = ws[:, : self.generator.num_ws - self.generator.own_rows]
        metrics = score(self.photos[0], prior, layers, start.class_index, first, second, self.encoder, self.distance)
        asked = [self.base.class_names[index] for index in self.classes if index is not None]
        advice = advice_for(metrics, self.photos[0], start.class_index, asked, self.settings, self.encoder)
        return replace(made, metrics=metrics, warnings=warnings_for(metrics), advice=advice)

    def preview(self, size: int = 128) -> Float[Tensor, "3 _ _"]:
        """Draw the object as it stands, from the camera of the first photo, before any super-resolution.

        Nothing else changes by it: the work goes on to the same numbers.

        Args:
            size: Side of the picture, pixels.
        """
        one = self.first_stage()
        generator = self.generator if self.two is None else self.two.tuned()
        with torch.no_grad():
            field, camera = generator.fields(one.ws())[0], self._newest_cameras()[0]
            config = config_for(camera, self.base.settings)
            return render(field, camera, resolution=size, config=config, super_resolution=False).rgb.clamp(0, 1)

    def state(self) -> State:
        """Where the work stands; empty before the search has found anything."""
        if self.start is None or self.cameras is None:
            return {}
        return {
            "settings": self.settings.to_dict(),
            "photos": [photo.digest for photo in self.photos],
            "class_index": self.start.class_index,
            "w": self.start.w.detach().clone(),
            "cameras": self.cameras.to_eg3d_label().detach().clone(),
            "stage_one": None if self.one is None else self.one.state(),
            "stage_two": None if self.two is None else self.two.state(),
        }

    def load_state(self, state: State) -> None:
        """Go on where `state` was taken.

        Raises:
            InputError: It belongs to other photos or settings.
        """
        if not state:
            return
        mine = {"settings": self.settings.to_dict(), "photos": [photo.digest for photo in self.photos]}
        other = [name for name, value in mine.items() if state.get(name) != value]
        if other:
            raise InputError(f"the state to resume was taken with other {' and '.join(other)}; start afresh without it")
        cameras = Camera.from_eg3d_label(state["cameras"].to(self.base.device))
        w = state["w"].reshape(-1, state["w"].shape[-1]).to(self.base.device)
        self.start = Candidate(state["class_index"], w, cameras[0])
        self.cameras = cameras
        if state["stage_one"] is not None:
            self.first_stage().load_state(state["stage_one"])
        if state["stage_two"] is not None:
            self.second_stage().load_state(state["stage_two"])

    def _prior(self, label: int | None) -> LatentPrior:
        return latent_prior(self.generator, label, self.settings.stage_one.w_samples, self.camera_cond)

    def _objective(self, ws: Float[Tensor, "1 num_ws w_dim"], rays: int) -> Objective:
        assert self.cameras is not None
        with torch.no_grad():
            field = self.generator.fields(ws)[0]
        sides = field.super_resolution.render_resolution if field.super_resolution else self.targets[0].size
        pixel = picture_side(self.cameras[0], field.box_side) / sides
        width = onset_width(field, self.settings.rendering.softness * pixel)
        return Objective(self.targets, self.settings, self.distance, rays, width, self.config)

    def _tell_search(self, done: int, steps: int, loss: float) -> None:
        self._tell("search", done, steps, loss)

    def _tell(self, stage: Stage, done: int, steps: int, loss: float) -> None:
        """Report a step, and save where that is due."""
        if self.progress is not None:
            low, high = _SHARES[stage]
            share = low + (high - low) * done / max(steps, 1)
            self.progress(StepReport(stage, done, steps, loss, share))
        if stage != "search" and time.monotonic() - self._saved >= self.settings.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        if self.checkpoint is not None:
            self.checkpoint(self.state())
        self._saved = time.monotonic()


def frozen(generator: Generator) -> Generator:
    """The generator itself if no parameter asks for gradients, otherwise a copy of which none does."""
    if not any(parameter.requires_grad for parameter in generator.parameters()):
        return generator
    return copy.deepcopy(generator).requires_grad_(False)


def _possible_classes(generator: Generator, class_name: str | int | None) -> list[int | None]:
    if not generator.class_names:
        if class_name is not None:
            raise InputError("this generator is unconditional: it has no classes; leave the class out")
        return [None]
    if class_name is not None:
        return [index_of(class_name, generator.class_names)]
    return list(range(len(generator.class_names)))


def check_settings(generator: Generator, settings: InversionSettings, camera: Camera | None) -> None:
    """Refuse settings that this generator, or what is known of the camera, does not allow.

    Raises:
        InputError: See `tuned_names`; or latents cannot be conditioned as asked.
    """
    tuned_names(generator, settings.stage_two.tune)
    _conditioning(generator, settings, camera)


def _conditioning(
    generator: Generator, settings: InversionSettings, cameras: Camera | None
) -> Float[Tensor, "1 25"] | None:
    """Give the label of the camera that latents are conditioned on; None leaves it to the generator.

    Raises:
        InputError: It is to be the photo's, and that is not known, or the generator is not conditioned on cameras.
    """
    if settings.stage_one.conditioning == "front":
        return None
    if not getattr(generator.config, "camera_dim", 0):
        raise InputError("this generator's latents are not conditioned on a camera; leave conditioning at front")
    if cameras is None:
        raise InputError("conditioning on the photo's camera needs that camera; name or align it, or take front")
    return cameras[:1].to_eg3d_label()


def _one_per_photo(camera: Camera | None, photos: int, device: torch.device) -> Camera | None:
    if camera is None:
        return None
    flat = camera.flatten()
    if len(flat) != photos:
        raise InputError(f"got {len(flat)} cameras for {photos} photos; give one each, or none")
    return flat.to(device)
