"""Class and camera of a photo that nobody named: likely pairs are tried at low resolution, the best are refined.

An encoder names the pairs; without one they are all classes, seen by cameras of the generator's own distribution.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.camera_fit import CameraFit
from gen3d_tools.inversion.stages.latent_prior import LatentPrior, latent_prior, map_z, typical_object
from gen3d_tools.inversion.stages.mirror import mirror_axis, with_mirrored
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.differentiable import onset_width

_LIKELY = 0.02  # classes and directions below this probability are not tried
_MODES = 3  # directions per class
_SURE = 0.9  # of a direction: below, the one opposite is tried too, whatever the encoder makes of it
_APART_DEG = 30.0  # directions nearer than this are one
_EVIDENCE = 0.025  # of loss: what a factor e in probability weighs where explanations are compared
_FRAMING_DOUBT = (0.08, 0.03, 0.03, 4.0)  # framing below this is within the encoder's error: the photo is framed
_NEARBY_SPREAD, _NEARBY_PSI = 0.4, 0.9  # of latents around the encoder's: standard deviation, and towards the mean
_PRIOR_CAMERAS = 24  # of the generator's distribution, where no encoder names directions


@dataclass(frozen=True, eq=False)
class Candidate:
    """A class, a first latent and a first camera."""

    class_index: int | None
    w: Float[Tensor, "rows w_dim"]
    """One for all layers, or each layer's own."""
    camera: Camera
    """A single camera."""
    probability: float = 1.0
    """By the encoder; pairs without one share equally."""
    loss: float = math.inf
    """At low resolution, after the last look at it."""
    nearby: Float[Tensor, "latents rows w_dim"] | None = None
    """Latents around `w` that may explain the photo better."""


class Search:
    """Finds where stage one starts.

    Args:
        generator: Stays as it is.
        settings: How many pairs are tried, and for how long.
        encoder: The model's, if it has one.
        report: Called with the steps done, all steps, and the best loss so far.
        config: How fields are rendered, if not by their own settings.
        camera_cond: Label of the camera that latents are conditioned on; None takes the generator's default one.
    """

    def __init__(
        self,
        generator: Generator,
        settings: InversionSettings,
        encoder: PhotoEncoder | None,
        report: Callable[[int, int, float], None],
        config: RenderConfig | None = None,
        camera_cond: Float[Tensor, "1 25"] | None = None,
    ) -> None:
        self.generator, self.encoder, self.report = generator, encoder, report
        self.settings, self.config, self.camera_cond = settings, config, camera_cond
        # Short runs from afar: full speed at once, and a camera that moves more freely than in stage one. The seed is
        # always the same: where stage one starts is no matter of chance.
        self.quick = settings.changed(
            seed=0,
            lr1=settings.search.lr,
            lr1_warmup=0.0,
            camera_lr=settings.search.camera_lr,
            camera_only=0.0,
            w_noise=0.0,
            optimise_noise=False,
            space="w",
            basis="spread",
            rays1=settings.search.resolution**2,
            perceptual_weight=0.0,
        )
        self.priors: dict[int | None, LatentPrior] = {}
        self.mirrors: dict[int | None, int | None] = {}
        self.done = 0

    def find(self, photo: Photo, target: Target, classes: Sequence[int | None], camera: Camera | None) -> Candidate:
        """Find class, latent and camera.

        Args:
            photo: As the encoder wants to see it.
            target: The same for comparison.
            classes: Those that come into question.
            camera: If it is known.
        """
        starts = self.candidates(photo, classes, camera)
        small = target.shrunk(self.settings.search.resolution)
        if len(starts) > self.settings.search.starts:
            starts = sorted(self._looked_at(starts, small), key=self._doubt)
        starts = self._with_better_latents(starts[: self.settings.search.starts], small)
        if len(starts) == 1:
            return starts[0]
        settings = self.settings.search
        steps = len(starts) * settings.steps + min(settings.keep, len(starts)) * settings.keep_steps  # at most
        refined = [self._refine(one, small, camera is None, self.settings.search.steps, steps) for one in starts]
        best = self._in_question(refined)
        steps = len(starts) * settings.steps + len(best) * settings.keep_steps
        larger = target.shrunk(2 * self.settings.search.resolution)
        finer = [self._refine(one, larger, camera is None, self.settings.search.keep_steps, steps) for one in best]
        return min(finer, key=self._doubt)

    def _in_question(self, refined: Sequence[Candidate]) -> list[Candidate]:
        """The best and those that may still turn out better."""
        first, *others = sorted(refined, key=self._doubt)[: self.settings.search.keep]
        return [first, *(one for one in others if self._doubt(one) <= self._doubt(first) + self.settings.search.margin)]

    def candidates(self, photo: Photo, classes: Sequence[int | None], camera: Camera | None) -> list[Candidate]:
        """Give pairs of class and camera, likeliest first."""
        if self.encoder is None:
            cameras = [camera] if camera is not None else list(self._prior_cameras())
            pairs = itertools.product(classes, cameras)
            return [Candidate(label, self.prior(label).start, one) for label, one in pairs]
        found: list[Candidate] = []
        for label, chance in self._likely_classes(photo, classes):
            found += self._seen_by(self.encoder, photo, label, chance, camera)
        return sorted(found, key=lambda one: -one.probability)

    def prior(self, label: int | None) -> LatentPrior:
        """The latents of a class, measured once."""
        if label not in self.priors:
            samples = self.settings.stage_one.w_samples
            self.priors[label] = latent_prior(self.generator, label, samples, self.camera_cond)
        return self.priors[label]

    def mirror_axis(self, label: int | None) -> int | None:
        """Tell in which plane the things of a class are their own mirror images, if in just one; found once."""
        if label not in self.mirrors:
            self.mirrors[label] = mirror_axis(typical_object(self.generator, self.prior(label)), only=True)
        return self.mirrors[label]

    def further_camera(self, photo: Photo, target: Target, found: Candidate) -> Camera:
        """Find the camera of another photo of an object that has been found."""
        starts = self.candidates(photo, [found.class_index], None)
        small = target.shrunk(self.settings.search.resolution)
        judged = self._looked_at([replace(one, w=found.w) for one in starts], small)
        return min(judged, key=lambda one: one.loss).camera

    @staticmethod
    def _doubt(one: Candidate) -> float:
        """Order explanations: by how badly they explain the photo, and how unlikely the encoder calls them.

        By its loss alone a mug that leans on a colour loses to a mushroom of just that colour.
        """
        return one.loss - _EVIDENCE * math.log(max(one.probability, 1e-4))

    def _likely_classes(self, photo: Photo, classes: Sequence[int | None]) -> list[tuple[int | None, float]]:
        assert self.encoder is not None
        with torch.no_grad():
            chances = self.encoder(photo.rgb[None].to(self.generator.device)).class_logits[0].softmax(-1).tolist()
        likely = [(label, 1.0 if label is None else chances[label]) for label in classes]
        likely.sort(key=lambda pair: -pair[1])
        return [pair for index, pair in enumerate(likely) if index == 0 or pair[1] > _LIKELY]

    @torch.no_grad()
    def _seen_by(
        self, encoder: PhotoEncoder, photo: Photo, label: int | None, chance: float, camera: Camera | None
    ) -> list[Candidate]:
        """What the encoder makes of a photo, if it shows this class."""
        assumed = None if label is None else torch.tensor([label], device=self.generator.device)
        picture = photo.rgb[None].to(self.generator.device)
        prediction = encoder(picture, assumed)
        mapped = map_z(self.generator, self._around(prediction.z), label, camera_cond=self.camera_cond)
        w, *nearby = mapped[:, : len(self.prior(label).start)]
        others = torch.stack(nearby) if nearby else None
        if camera is not None:
            return [Candidate(label, w, camera, chance, nearby=others)]
        axis = self.mirror_axis(label)
        if axis is not None:
            prediction = with_mirrored(prediction, encoder(picture.flip(-1), assumed), axis)
        yaws, shares = prediction.yaw_modes(_MODES)
        modes = zip(yaws[0].tolist(), shares[0].tolist(), strict=True)
        likely = [(yaw, share) for index, (yaw, share) in enumerate(modes) if index == 0 or share > _LIKELY]
        likely += _opposite(likely)
        seen = [(self._camera(prediction, yaw), chance * share) for yaw, share in likely]
        return [Candidate(label, w, one, probability, nearby=others) for one, probability in seen]

    def _around(self, z: Float[Tensor, "1 z_dim"]) -> Float[Tensor, "latents z_dim"]:
        """What the encoder believes, and latents around it, always the same."""
        drawn = torch.randn(self.settings.search.nearby, z.shape[1], generator=torch.Generator().manual_seed(0))
        return torch.cat([z, _NEARBY_PSI * z + _NEARBY_SPREAD * drawn.to(z)])

    def _with_better_latents(self, starts: Sequence[Candidate], target: Target) -> list[Candidate]:
        """Start every class from the latent, of those around the encoder's, that its first camera sees best."""
        best: dict[int | None, Float[Tensor, "rows w_dim"]] = {}
        for one in starts:
            if one.nearby is not None and one.class_index not in best:
                judged = self._looked_at([one, *(replace(one, w=w) for w in one.nearby)], target)
                best[one.class_index] = min(judged, key=lambda other: other.loss).w
        return [replace(one, w=best.get(one.class_index, one.w), nearby=None) for one in starts]

    def _camera(self, prediction: Prediction, yaw_deg: float) -> Camera:
        """The generator's default camera, moved to where the encoder believes the photo was taken."""
        usual = self.generator.default_camera()
        aim = usual.position - (usual.position * usual.forward).sum(-1, keepdim=True) * usual.forward
        radius = float((usual.position - aim).norm())
        pitch = float(prediction.pitch_deg[0])
        turned = Camera.from_spherical(yaw_deg, pitch, radius, fov_y_deg=float(usual.fov_y_deg), target=aim)
        fit = CameraFit(turned.to(usual.device).flatten())
        framing = zip(prediction.framing[0].tolist(), _FRAMING_DOUBT, strict=True)
        magnified, right, down, roll = (value if abs(value) > doubt else 0.0 for value, doubt in framing)
        # The object lies to the right where the camera looks to its left; moves count before the zoom.
        offsets = (0.0, 0.0, -math.radians(roll), magnified, -right * math.exp(-magnified), down * math.exp(-magnified))
        fit.offsets = torch.tensor([offsets], device=usual.device)
        return fit.cameras()[0]

    def _prior_cameras(self) -> Camera:
        seeds = range(self.settings.seed, self.settings.seed + _PRIOR_CAMERAS)
        return self.generator.sample_cameras(_PRIOR_CAMERAS, seeds)

    @torch.no_grad()
    def _looked_at(self, candidates: Sequence[Candidate], target: Target) -> list[Candidate]:
        """Fill in the losses of candidates as they are; those that share a latent share its field."""
        fields = {id(one.w): one.w for one in candidates}
        scenes = {key: self.generator.fields(self.generator.same_ws(w))[0] for key, w in fields.items()}
        looked = []
        for one in candidates:
            field = scenes[id(one.w)]
            loss, _ = self._objective(field, one.camera, target)(field, stack_cameras([one.camera]), None)
            looked.append(replace(one, loss=float(loss)))
        return looked

    def _objective(self, field: RadianceField, camera: Camera, target: Target) -> Objective:
        pixel = picture_side(camera, field.box_side) / target.size
        width = onset_width(field, self.quick.rendering.softness * pixel)
        return Objective([target], self.quick, None, target.size**2, width, self.config)

    def _refine(self, candidate: Candidate, target: Target, move: bool, steps: int, all_steps: int) -> Candidate:
        """Run stage one for a few steps."""
        with torch.no_grad():
            field = self.generator.fields(self.generator.same_ws(candidate.w))[0]
        run = StageOne(
            self.generator,
            self.prior(candidate.class_index),
            candidate.w,
            stack_cameras([candidate.camera]),
            self._objective(field, candidate.camera, target),
            self.quick,
            move_camera=move,
            steps=steps,
        )
        while not run.finished:
            loss = run.step()
            self.done += 1
            self.report(self.done, all_steps, loss)
        return replace(candidate, w=run.w(), camera=run.cameras()[0], loss=run.judge())


def picture_side(camera: Camera, box_side: float) -> float:
    """World units that the height of a picture covers at the middle of the object.

    Args:
        camera: A single camera.
        box_side: Of the field, for a camera whose middle of the object lies behind it.
    """
    distance = -float((camera.position * camera.forward).sum())
    return distance / float(camera.intrinsics[1, 1]) if distance > 0 else box_side


def _opposite(directions: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The direction from behind, where the encoder is in doubt: fronts and backs are what it confuses most.

    Args:
        directions: Degrees and probabilities, likeliest first.
    """
    yaw, share = directions[0]
    flipped = (yaw + 360) % 360 - 180
    near = any(abs((other - flipped + 180) % 360 - 180) < _APART_DEG for other, _ in directions)
    return [] if share >= _SURE or near else [(flipped, _LIKELY)]
