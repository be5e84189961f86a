"""How good the geometry of a model's samples is: not flat, and the same from every side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.conventions import LEVEL
from gen3d_tools.cameras.distributions.priors import PosePrior
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.metrics.batches import render_rays_cut
from gen3d_tools.metrics.consistency import ViewConsistency, view_consistency
from gen3d_tools.metrics.flatness import BINS, depth_histograms, non_flatness
from gen3d_tools.perception.feature_networks import FeatureNetwork
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import Frames, render
from gen3d_tools.workflows.evaluate.distribution.samples import as_bytes, drawn_latents
from gen3d_tools.workflows.evaluate.measures import Curve, Group, Measure, Sheet
from gen3d_tools.workflows.running.reporting import Reporter

FLATNESS_SAMPLES, FLATNESS_BATCH, CUT_QUANTILE = 256, 4, 0.5
"""As 3DGP's score is defined."""

VIEW_SAMPLES = 32
TURNS_DEG = (-30.0, -15.0, 15.0, 30.0)
"""Turns around the object from the middle view, less where a model's trusted views are narrower."""

FREE_SIZE = 128
"""Pixels along a side of pictures of models that have no size of their own."""

_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class GeometryPlan:
    """How many samples are looked at, and how large."""

    flatness_samples: int = FLATNESS_SAMPLES
    view_samples: int = VIEW_SAMPLES
    size: int | None = None
    psi: float = 1.0
    first_seed: int = 0


@torch.no_grad()
def geometry(generator: Generator, network: FeatureNetwork, plan: GeometryPlan, reporter: Reporter) -> Group:
    """Compute the non-flatness score and how consistent views are.

    Args:
        generator: The model.
        network: Tells how alike two views look.
        plan: How much work.
        reporter: Takes progress.

    Raises:
        InputError: The model has no seeds.
    """
    scores, limits = _flatness(generator, plan, reporter)
    views = _views(generator, network, plan, reporter)
    box = views.box_side
    raw, full = views.raw, views.full
    measures = [
        Measure(name="NFS", value=sum(scores) / len(scores), better="higher", note=f"1 is flat, {BINS} the most"),
        Measure(
            name="view depth error",
            value=None if raw.depth_error is None else 100 * raw.depth_error / box,
            unit="% of the box",
            better="lower",
        ),
        Measure(name="view contradictions", value=_percent(raw.contradictions), unit="%", better="lower"),
        Measure(name="view colour PSNR", value=(full or raw).color_psnr, unit="dB", better="higher"),
    ]
    if full is not None and raw.color_psnr is not None and full.color_psnr is not None:
        drop = raw.color_psnr - full.color_psnr
        measures += [
            Measure(name="view colour PSNR, raw", value=raw.color_psnr, unit="dB", better="higher"),
            Measure(name="drop by super-resolution", value=drop, unit="dB", better="lower"),
        ]
    measures += _feature_measures(views.features)
    group = Group(name="geometry", title="Geometry", measures=measures)
    group.facts = {
        "flatness": {"samples": len(scores), "near": limits[0], "far": limits[1], "cut_quantile": CUT_QUANTILE},
        "views": {"samples": len(views.features), "turns_deg": list(views.turns), "size": views.size},
        "psi": plan.psi,
        "features": network.kind,
    }
    group.rows = [{"seed": plan.first_seed + index, "nfs": score} for index, score in enumerate(scores)]
    group.curves.append(
        Curve(title="Non-flatness of the samples", across="exp(entropy) of the depths", series={"samples": scores})
    )
    group.curves.append(
        Curve(
            title="Colour of the same point in two views",
            across="turn between the views, degrees",
            series={name: values for name, values in views.by_turn.items() if all(map(math.isfinite, values))},
            at=list(views.turns),
            caption="PSNR in dB of all points that both views see.",
        )
    )
    group.sheets.append(views.sheet)
    return group


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _feature_measures(features: Float[Tensor, "samples views numbers"]) -> list[Measure]:
    """Distance of features of two views of an object, alone and beside that of two objects."""
    unit = F.normalize(features.float(), dim=-1)
    same = 1 - (unit[:, :1] * unit[:, 1:]).sum(-1)
    measures = [
        Measure(
            name="view feature distance",
            value=float(same.mean()),
            spread=float(same.std()) if same.numel() > 1 else None,
            better="lower",
            note="1 - cosine, two views of a sample",
        )
    ]
    if len(unit) > 1:
        middle = unit[:, 0]
        apart = ~torch.eye(len(middle), dtype=torch.bool)
        other = float((1 - middle @ middle.T)[apart].mean())
        ratio = None if other == 0 else float(same.mean()) / other
        note = "of that between two samples; 0 = a view tells who it is, 1 = it does not"
        measures.append(Measure(name="view feature ratio", value=ratio, better="lower", note=note))
    return measures


def _flatness(generator: Generator, plan: GeometryPlan, reporter: Reporter) -> tuple[list[float], tuple[float, float]]:
    """3DGP's score of each sample, and the range of depths that it was counted in."""
    seeds = range(plan.first_seed, plan.first_seed + plan.flatness_samples)
    scores: list[float] = []
    near = far = 0.0
    with reporter.progress("non-flatness", len(seeds)) as done:
        for start in range(0, len(seeds), FLATNESS_BATCH):
            chosen = seeds[start : start + FLATNESS_BATCH]
            classes = generator.class_indices(list(chosen)) or None
            cameras = flatness_cameras(generator, chosen, classes)
            fields = list(generator.fields(drawn_latents(generator, chosen, classes, cameras, plan.psi)))
            distance = _cut_distances(fields, cameras, _side(generator, fields[0], plan.size))
            near, far = depth_range(fields[0], cameras, fields[0].render_config)
            _, entropy = non_flatness(depth_histograms(distance.cpu(), near, far))
            scores += entropy.exp().tolist()
            done(len(scores))
    return scores, (near, far)


def flatness_cameras(generator: Generator, seeds: Sequence[int], classes: Sequence[int] | None) -> Camera:
    """Front cameras for the score: level and in front, all else from the prior, then through the camera generator.

    Models without such a prior are seen by their default camera.
    """
    prior = generator.settings.camera_distribution
    if not (isinstance(prior, PosePrior) and isinstance(generator, PlaneGenerator)):
        view = generator.settings.default_view
        return stack_cameras([view.mean().to(generator.device)] * len(seeds))
    numbers = prior.sample_poses(len(seeds), list(seeds)).parameters.clone()
    numbers[:, :3] = numbers.new_tensor([0.0, LEVEL, 0.0])
    poses = Pose.from_parameters(numbers, generator.yaw_zero)
    if isinstance(generator, ThreeDGPGenerator) and generator.synthesis.camera_adaptor is not None:
        z = latent_z(list(seeds), generator.config.z_dim)
        poses = generator.posterior_poses(poses, z, generator.class_onehots(list(seeds), classes))
    return poses.camera().to(generator.device)


def depth_range(field: RadianceField, cameras: Camera, config: RenderConfig) -> tuple[float, float]:
    """Where rays begin and end; of rays through the box, the ends of the sphere around it."""
    if not isinstance(config.near, str) and not isinstance(config.far, str):
        return float(config.near), float(config.far)
    distance, reach = float(cameras.position.norm(dim=-1).mean()), math.sqrt(3) / 2 * field.box_side
    return max(distance - reach, 0.0), distance + reach


def _cut_distances(fields: Sequence[RadianceField], cameras: Camera, side: int) -> Float[Tensor, "b n"]:
    """Distances of a batch of pictures without the lower half of all densities."""
    origins, directions = camera_rays(cameras, side, fields[0].render_config.pixel_grid)
    seen = render_rays_cut(fields, origins, directions, cut_quantile=CUT_QUANTILE)
    return torch.stack([one.distance for one in seen])


def _side(generator: Generator, field: RadianceField, size: int | None) -> int:
    """Rays along a side of a picture."""
    if size is None and field.super_resolution is not None:
        return field.super_resolution.render_resolution
    return size or generator.image_resolution or FREE_SIZE


@dataclass
class _Views:
    """What views from around say of all samples."""

    raw: ViewConsistency
    full: ViewConsistency | None  # with super-resolution
    features: Float[Tensor, "samples views numbers"]
    turns: tuple[float, ...]
    by_turn: dict[str, list[float]]
    box_side: float
    size: int
    sheet: Sheet


def _views(generator: Generator, network: FeatureNetwork, plan: GeometryPlan, reporter: Reporter) -> _Views:
    """Look at samples from the middle and from around, and compare."""
    turns = trusted_turns(generator)
    cameras = turned_cameras(generator, turns)
    seeds = range(plan.first_seed, plan.first_seed + plan.view_samples)
    raw = {turn: ViewConsistency() for turn in turns}
    full = {turn: ViewConsistency() for turn in turns}
    features, shown, resolved, box, size = [], list[list[Tensor]](), False, 1.0, 0
    with reporter.progress("views", len(seeds)) as done:
        for number, seed in enumerate(seeds):
            classes = generator.class_indices([seed]) or None
            ws = drawn_latents(generator, [seed], classes, cameras[:1], plan.psi)
            [field] = generator.fields(ws)
            side = plan.size or (None if field.super_resolution else _side(generator, field, None))
            seen = [render(field, camera, resolution=side) for camera in cameras]
            box, size = field.box_side, seen[0].rgb.shape[-1]
            for index, turn in enumerate(turns, start=1):
                pair = stack_cameras([cameras[0], cameras[index]])
                grid = field.render_config.pixel_grid
                small = [one.raw or one for one in (seen[0], seen[index])]
                raw[turn] += view_consistency(small[0], small[1], pair, box, pixel_grid=grid)
                if _comparable(field) and seen[0].raw is not None:
                    resolved = True
                    colours = (_shrunk(seen[0]), _shrunk(seen[index]))
                    full[turn] += view_consistency(small[0], small[1], pair, box, colors=colours, pixel_grid=grid)
            features.append(network(torch.stack([as_bytes(one.rgb) for one in seen])).values)
            if number < _SHOWN:
                shown.append([one.rgb.cpu() for one in seen])
            done(number + 1)
    by_turn = {"rays": [raw[turn].color_psnr or math.nan for turn in turns]}
    if resolved:
        by_turn["super-resolved"] = [full[turn].color_psnr or math.nan for turn in turns]
    zero = ViewConsistency()
    columns = ["middle", *(f"{turn:+g}°" for turn in turns)]
    labels = [f"seed {plan.first_seed + index}" for index in range(len(shown))]
    return _Views(
        raw=sum(raw.values(), zero),
        full=sum(full.values(), zero) if resolved else None,
        features=torch.stack(features),
        turns=turns,
        by_turn=by_turn,
        box_side=box,
        size=size,
        sheet=Sheet(title="Views that are compared", rows=shown, labels=labels, columns=columns),
    )


def _comparable(field: RadianceField) -> bool:
    """Whether the rays' small picture and the large one show the same."""
    return field.super_resolution is not None and field.super_resolution.grid_share == 1


def _shrunk(frames: Frames) -> Float[Tensor, "3 m m"]:
    """A super-resolved picture at the size of what the rays saw."""
    assert frames.raw is not None, "there is a super-resolution"
    side = frames.raw.rgb.shape[-1]
    return F.interpolate(frames.rgb[None], (side, side), mode="area")[0]


def trusted_turns(generator: Generator) -> tuple[float, ...]:
    """The turns, made smaller where the model was trained on a narrower range."""
    trusted = generator.settings.trusted_views
    reach = min(max(TURNS_DEG), max((trusted.yaw_max_deg - trusted.yaw_min_deg) / 2, 1.0))
    return tuple(round(turn * reach / max(TURNS_DEG), 2) for turn in TURNS_DEG)


def turned_cameras(generator: Generator, turns: Sequence[float]) -> Camera:
    """The default camera, then those turned around the object."""
    view = generator.settings.default_view
    cameras = [replace(view, yaw_deg=view.yaw_deg + turn).mean() for turn in (0.0, *turns)]
    return stack_cameras(cameras).to(generator.device)


def check_plan(plan: GeometryPlan) -> None:
    """Refuse a plan without samples.

    Raises:
        InputError: There are none.
    """
    if plan.flatness_samples < 1 or plan.view_samples < 1:
        raise InputError(f"samples is {plan.view_samples}; geometry needs at least 1")
