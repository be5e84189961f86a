"""Whole steps of EG3D's code, and its density regulariser alone: losses, gradients, and parameters afterwards."""

import json
import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.discriminators.body import BodyConfig
from gen3d_tools.training.discriminators.dual import DualDiscriminator
from gen3d_tools.training.losses.density import monotonic, variation
from gen3d_tools.training.objectives.base import RealBatch
from gen3d_tools.training.objectives.dual import DualObjective
from gen3d_tools.training.recipes.sections import CamerasSection, LossSection
from gen3d_tools.training.step import Contest, Gathered, run_phase
from gen3d_tools.training.synthesis import dual
from gen3d_tools.training.synthesis.fakes import Fakes, Request
from tests.parity.cases import GOLDEN, OWN
from tests.support.official_pickles import official_bytes
from tests.training.recorded import (
    FIGURES,
    Recorded,
    adam,
    cases,
    check_parameters,
    gradients_of,
    load_strictly,
    parts,
    relative,
    subsampled,
)
from tests.training.replayed import Replayed


def weights_file(name):
    """Where the generator lies that a case is about: beside the case, or else among the repository's own."""
    places = [place / "eg3d" / f"{name}.json" for place in (GOLDEN, GOLDEN.parent, OWN)]
    return next(path for path in places if path.is_file() and path.with_suffix(".safetensors").is_file())


def eg3d_generator(folder, case, kwargs, rendering, side):
    """The generator that a case names, with other settings, and without noise.

    Args:
        folder: Where its snapshot is written.
        case: A case whose description names the file of a generator.
        kwargs: Instead of the generator's own.
        rendering: On top of its `rendering_kwargs`.
        side: Neural rendering resolution.
    """
    named = re.search(r"golden/eg3d/(\w+)", case.info["description"])
    source = weights_file(named[1] if named else "shapenet_2x_white")
    notes = json.loads(source.read_text(encoding="utf-8"))
    stored = load_file(source.with_suffix(".safetensors"))
    params = {name[7:]: tensor.float() for name, tensor in stored.items() if name.startswith("params.")}
    omitted = notes.get("params_omitted") or {}
    params |= {name: torch.zeros(shape) for name, shape in omitted.items()}
    params = {name: torch.zeros_like(one) if "noise_strength" in name else one for name, one in params.items()}
    made = {**notes["init_kwargs"], **kwargs}
    made["rendering_kwargs"] = {**made["rendering_kwargs"], **rendering}
    attributes = {"": {"rendering_kwargs": made["rendering_kwargs"], "neural_rendering_resolution": side}}
    made.pop("neural_rendering_resolution", None)
    path = folder / "eg3d.pkl"
    path.write_bytes(official_bytes("eg3d", made, params, attributes=attributes))
    return load_generator(path, device="cpu"), made["rendering_kwargs"]


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("eg3d_step"))
def test_eg3d_step(name, tmp_path):
    case = Recorded(name)
    info = case.info
    generator, rendering = eg3d_generator(tmp_path, case, info["kwargs"], {}, info["neural_rendering_resolution"])
    judge = info["D_kwargs"]
    config = BodyConfig(
        image_channels=2 * judge.get("img_channels", 3),
        channel_base=judge["channel_base"],
        channel_max=judge["channel_max"],
        clamp=judge.get("conv_clamp", 256.0),
        group=judge.get("mbstd_group_size", 4),
    )
    discriminator = DualDiscriminator(config, resolution=judge["img_resolution"], label_dim=judge["c_dim"])
    load_strictly(discriminator, case.discriminator())
    losses = LossSection(
        r1_gamma=info["r1_gamma"],
        blur_kimg=200.0,
        density_weight=rendering["density_reg"],
        density_distance=rendering["density_reg_p_dist"],
    )
    losses = blur_as_recorded(losses, info)
    cameras = CamerasSection(source="labels", swap_final=rendering["gpc_reg_prob"])
    objective = RecordedFakes(generator, discriminator, losses, cameras, sampling="reference")
    optimisers = {"G": adam(generator, info["optim"]["G"]), "D": adam(discriminator, info["optim"]["D"])}
    contest = Contest(objective, optimisers)
    judgements = []
    discriminator.register_forward_hook(lambda _, inputs, logits: judgements.append(logits.detach()))
    real = RealBatch(case["in.real_img"], labels=case["in.real_c"])
    for phase in objective.schedule():
        request = Request(case[f"in.{phase.name}.z"], labels=case[f"in.{phase.name}.c"])
        uniform = [
            case[key] for key in (f"in.{phase.name}.swap_uniform_0", f"in.{phase.name}.coords_uniform_0") if key in case
        ]
        normal = [case[key] for key in (f"in.{phase.name}.coords_normal_0",) if key in case]
        if phase.name in ("Gmain", "Dmain"):
            check_fakes(objective, request, uniform[0], case, phase.name, info["cur_nimg"] / 1000)
        if phase.name == "Dmain":
            objective.stored = (case["out.Dmain.fake_image"], case["out.Dmain.fake_image_raw"])
        gathered, judgements[:] = Gathered(), []
        draws = Replayed(uniform=uniform, normal=normal)
        run_phase(
            contest, phase, [(real, request, draws)], kimg=info["cur_nimg"] / 1000, gathered=gathered, reduction="sum"
        )
        network = contest.network(phase.network)
        prefix = f"gradnorm.{phase.name}.{phase.network}."
        if phase.name in ("Gmain", "Dmain"):
            check_eg3d_figures(case, phase.name, gathered, judgements, 1e-4)
            assert count_norms(network, case, prefix, 2e-3) > 20
            # G's gradients are sums over rays and planes of float32: rounding is 2e-4 of the largest entry.
            tolerance = 1e-3 if phase.name == "Gmain" else 1e-4
            check_entries(network, case, f"grad.{phase.name}.{phase.network}.", tolerance)
            assert check_parameters(network, case, f"after.{phase.name}.{phase.network}.", gradients_of(network)) > 10
        else:  # these follow a step whose direction is the sign of small gradients: see the regulariser alone, eg3d_d
            check_eg3d_figures(case, phase.name, gathered, judgements, 1e-3 if phase.name == "Greg" else 1e-2)
            found, expected = total_norms(network, case, prefix)
            assert found == pytest.approx(expected, rel=5e-2)


class RecordedFakes(DualObjective):
    """D judges the recorded fakes, so that it does not see what Adam's first step made of rounding errors in G."""

    stored = None

    def _fakes(self, request, draws, kimg):
        made = super()._fakes(request, draws, kimg)
        return made if self.stored is None else Fakes(*self.stored, ws=made.ws)


def blur_as_recorded(losses, info):
    return replace(losses, blur_kimg=info.get("blur_fade_kimg", 200.0))


def check_fakes(objective, request, uniform, case, phase, kimg):
    with torch.no_grad():
        made = objective._fakes(request, Replayed(uniform=[uniform]), kimg)
    if phase == "Gmain":
        assert float((made.raw_images - case["out.Gmain.fake_image_raw"]).abs().max()) < 1e-4
        assert float((made.images[:, :, ::4, ::4] - case["out.Gmain.fake_image_every_4th"]).abs().max()) < 1e-3


def check_eg3d_figures(case, phase, gathered, judgements, tolerance):
    """Compare everything that was reported in a phase."""
    values = {published: gathered.values[name] for name, published in FIGURES.items() if name in gathered.values}
    values["Loss_r1_penalty"] = gathered.values.get("loss/r1", ())
    values["Loss_D_reg"] = [one * case.info["r1_gamma"] / 2 for one in values["Loss_r1_penalty"]]
    values["Loss_signs_fake"] = [fakes.sign() for fakes in values.get("Loss_scores_fake", ())]
    if phase == "Dreg":
        values["Loss_scores_real"] = judgements
    if "loss/density" in gathered.values:
        weight = case.info["kwargs"]["rendering_kwargs"]["density_reg"]
        values["l1_density_unweighted"] = [one / weight for one in gathered.values["loss/density"]]
    for match, published in case.outputs(rf"(?:stat\.)?{phase}\.(Loss_\w+|l1_density_unweighted)").items():
        [found], expected = values[match[1]], published.flatten()
        error = float((found.flatten() - expected).abs().max())
        assert error <= tolerance * float(expected.abs().max()), (match[0], error)


def check_entries(network, case, prefix, tolerance):
    """Compare the stored entries of gradients, as shares of the largest."""
    for name, parameter in network.named_parameters():
        expected = case.get(f"{prefix}{name}")
        if expected is not None and "noise_strength" not in name:
            found, largest = subsampled(parameter.grad)[: len(expected)], float(expected.abs().max())
            assert float((found - expected).abs().max()) <= tolerance * largest + 1e-9, name


def total_norms(network, case, prefix):
    pairs = [
        (float(one.grad.norm()), float(case[f"{prefix}{name}"]))
        for name, one in network.named_parameters()
        if f"{prefix}{name}" in case and one.grad is not None and "noise_strength" not in name
    ]
    return tuple(sum(value**2 for value in column) ** 0.5 for column in zip(*pairs, strict=True))


def count_norms(network, case, prefix, tolerance):
    checked = 0
    total = max(float(case[key]) for key in case.tensors if key.startswith(prefix))
    for name, parameter in network.named_parameters():
        if f"{prefix}{name}" in case and "noise_strength" not in name:
            found = 0.0 if parameter.grad is None else float(parameter.grad.norm())
            expected = float(case[f"{prefix}{name}"])
            assert abs(found - expected) <= tolerance * expected + 1e-5 * total, (name, found, expected)
            checked += 1
    return checked


def keeping(field, given):
    """The field; what it answers is kept as well."""

    def answer(points):
        given.append(field(points))
        return given[-1]

    return answer


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), parts("density_regulariser", r"out\.([\w-]+)\.sigma_\d+"))
def test_density_regularisation(name, kind, tmp_path):
    case = Recorded(name)
    info = case.info
    side = info.get("neural_rendering_resolution", 16)
    generator, rendering = eg3d_generator(tmp_path, case, info.get("kwargs", {}), info["rendering_overrides"], side)
    box, swapped, gain = rendering["box_warp"], info.get("swapping_prob", 0.9), info.get("gain", 4)
    generator.requires_grad_(True)
    names = sorted(
        (key for key in case.tensors if key.startswith(f"in.{kind}.")), key=lambda key: int(key.split(".")[2][0])
    )
    scalars = [key for key in names if case[key].numel() == 1]
    uniform = [case[key] for key in names if key.endswith("_uniform") and case[key].numel() > 1]
    normal = [case[key] for key in names if key.endswith("_normal")]
    total = torch.zeros(())
    draws = Replayed()
    for index, scalar in enumerate(scalars):
        told = case["in.c"] if float(case[scalar]) >= swapped else case["in.c"].roll(1, 0)
        ws = generator.map(case["in.z"], None, told)
        given = []
        raw_density = keeping(partial(dual.raw_density, generator, ws, draws=draws), given)
        points = uniform[index] * 2 - 1
        if kind != "l1" and index == 0:
            total = total + monotonic(raw_density, points, box, detached=kind.endswith("detach"))
        else:
            l1 = kind == "l1"  # the second part of the others has a weight and a shift of its own
            weight = rendering["density_reg"] if l1 else 0.25
            shifts = normal[-1] * (rendering["density_reg_p_dist"] if l1 else box / 256)
            total = total + weight * variation(raw_density, points, shifts)
        assert relative(given[0], case[f"out.{kind}.sigma_{index}"][..., 0]) < 1e-4
    (total * gain).backward()
    assert count_norms(generator, case, f"gradnorm.{kind}.", 6e-2 if kind == "l1" else 1e-3) > 10
