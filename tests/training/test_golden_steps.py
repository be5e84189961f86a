"""Whole steps of EpiGRAF's and 3DGP's code: losses, gradients, and parameters afterwards."""

import re

import pytest
import torch

from gen3d_tools.generators.networks.epigraf.camera_generator import CameraBounds, CameraGenerator
from gen3d_tools.training.losses.cameras import CameraWeights, earth_movers, force_mean, slope_terms
from gen3d_tools.training.losses.distillation import sample_weights
from gen3d_tools.training.objectives.patchwise import PatchObjective
from gen3d_tools.training.step import Contest, Gathered, run_phase
from tests.training.recorded import (
    FIGURES,
    Recorded,
    adam,
    cases,
    check_gradients,
    check_parameters,
    gradients_of,
    parts,
    relative,
)
from tests.training.replayed import patch_networks, patch_round, patch_sections


class RecordedCameras(PatchObjective):
    def _moved(self, generator, draws, count, *, differentiable=False):
        made = super()._moved(generator, draws, count, differentiable=differentiable)
        self.moved = [*getattr(self, "moved", []), made]
        return made

    def camera_samples(self, draws, count):
        prior, z, onehot = draws.cameras.pop(0)
        assert len(prior) == count
        return prior, z, onehot if onehot.shape[1] else None


@pytest.mark.slow
@pytest.mark.parametrize("name", cases("patchwise_step"))
def test_patchwise_step(name, tmp_path):
    case = Recorded(name)
    generator, discriminator, judge = patch_networks(case, tmp_path)
    losses, cameras, judged, patches = patch_sections(case, judge)
    # The reference: 3DGP measures coarse intervals in shares of the ray.
    objective = RecordedCameras(
        generator, discriminator, losses, cameras, judged=judged, patches=patches, sampling="reference"
    )
    optimisers = {"G": adam(generator, case.info["optim"]["G"]), "D": adam(discriminator, case.info["optim"]["D"])}
    contest = Contest(objective, optimisers)
    batch = len(case["in.real_img"])
    length = len(case.get("in.Gall.round0.fake_scales", case["in.real_img"]))
    rounds = [slice(start, start + length) for start in range(0, batch, length)]
    judgements = []
    discriminator.register_forward_hook(lambda _, inputs, logits: judgements.append(logits.detach()))
    kimg, of_main = case.info["cur_nimg"] / 1000, None
    for phase in objective.schedule():
        if f"in.{phase.name}.z" not in case:
            continue
        gathered, judgements[:] = Gathered(), []
        parts = [patch_round(case, phase.name, index, rows) for index, rows in enumerate(rounds)]
        run_phase(contest, phase, parts, kimg=kimg, gathered=gathered, reduction="sum")
        check_figures(case, phase.name, figures(case, gathered, judgements, phase.name))
        if phase.name == "Gall":
            check_distances(case, objective)
        network = contest.network(phase.network)
        # Later phases follow steps of Adam that are nearly signs, also of gradients that are rounding errors.
        tolerance = {"Gall": 2e-4, "Dmain": 3e-3}.get(phase.name, 5e-3)
        assert check_gradients(network, case, f"gradnorm.{phase.name}.{phase.network}.", tolerance) > 20
        after, clear = f"after.{phase.name}.{phase.network}.", 1e-3 if phase.name == "Gall" else 5e-2
        found = gradients_of(network)
        earlier = of_main if phase.name == "Dreg" else None
        assert check_parameters(network, case, after, found, clear, earlier) > 10
        of_main = found
        if phase.name == "Dmain" and "out.w_avg_after_Dmain" in case:
            assert relative(generator.mapping.w_avg, case["out.w_avg_after_Dmain"]) < 1e-5


def figures(case, gathered, judgements, phase):
    """What our code computes of the published figures: by their names, one entry per round."""
    values = {published: gathered.values[name] for name, published in FIGURES.items() if name in gathered.values}
    values["Loss_signs_fake"] = [fakes.sign() for fakes in values.get("Loss_scores_fake", ())]
    values["Loss_D_reg"] = [one * case.info["r1_gamma"] / 2 for one in values.get("Loss_D_r1_penalty", ())]
    if phase == "Dreg":
        values["Loss_scores_real"] = judgements
    if "Loss_kd_D_loss" in values:
        weights = sample_weights(case[f"in.{phase}.patch_scales_1"]) * case.info["D_kd_weight"]
        values["Loss_kd_D_dist"] = [one / weights for one in values["Loss_kd_D_loss"]]
    return values


def check_figures(case, phase, values):
    """Compare everything that was reported, round by round; the distances of cameras have a check of their own."""
    stored = case.outputs(rf"stat\.{phase}\.(?:round(\d+)\.)?(?!Dist_)(\w+)")
    assert stored
    for match, expected in stored.items():
        found = values[match[2]][int(match[1] or 0)]
        assert found.shape == expected.shape
        error = float((found - expected).abs().max())
        # Figures of Dreg follow Adam's first step, which is nearly a sign also where gradients are rounding errors.
        largest = float(expected.abs().max())
        allowed = (1e-3 if phase == "Dreg" else 1e-4) * largest
        if match[2] != "Loss_scores_real":
            allowed = min(allowed, 1e-4 * max(1.0, largest))
        assert error <= allowed, (match[0], error)


CAMERA_NUMBERS = ("yaw", "pitch", None, "fov", "radius", "look_at_yaw", "look_at_pitch", "look_at_radius")


def check_camera_terms(case, start, terms):
    """Compare the distance, or slope, of each camera number."""
    stored = case.outputs(rf"{re.escape(start)}_reg_(\w+)")
    for match, expected in stored.items():
        found = float(terms[CAMERA_NUMBERS.index(match[1])].detach())
        assert found == pytest.approx(float(expected), rel=1e-4, abs=1e-9), match[0]
    return len(stored)


def check_distances(case, objective):
    """Compare the distances of the first camera regulariser, before the step."""
    if case.outputs(r"stat\.Gall\.Dist_emd_reg_yaw"):
        prior, posterior = objective.moved[0]
        assert check_camera_terms(case, "stat.Gall.Dist_emd", earth_movers(posterior, prior)) > 1


@pytest.mark.parametrize(("name", "kind"), parts("camera_regularisers", r"out\.(\w+)\.posterior"))
def test_camera_regularisers(name, kind):
    case = Recorded(name)
    options = case.info["cfg"]["model"]["generator"]["camera_adaptor"]
    camera = options["camera"]
    origin, aim = camera["origin"]["angles"], camera["look_at"]
    ranges = [
        origin["yaw"],
        origin["pitch"],
        camera["fov"],
        aim["angles"]["yaw"],
        aim["angles"]["pitch"],
        aim["radius"],
    ]
    adjust = {f"adjust_{part}": options["adjust"][part] for part in ("angles", "radius", "fov", "look_at")}
    bounds = CameraBounds(low=tuple(r["min"] for r in ranges), high=tuple(r["max"] for r in ranges), **adjust)
    adaptor = CameraGenerator(
        bounds,
        z_dim=options["z_dim"],
        num_classes=options["c_dim"],
        hidden=options["hid_dim"],
        embed=options["embed_dim"],
        lr_multiplier=options["lr_multiplier"],
        residual=options["residual"],
    )
    adaptor.load_state_dict(case.under("params.camera_adaptor."))
    prior, z, onehot = (case[f"in.{kind}.reg_{part}_0"] for part in ("prior", "z", "c"))
    if kind == "lipschitz":
        prior.requires_grad_()
    posterior = adaptor(prior, z, onehot)
    assert float((posterior.detach() - case[f"out.{kind}.posterior"]).abs().max()) < 1e-4
    if kind == "emd":
        weights = options["emd"]
        terms = earth_movers(posterior, prior)
        assert check_camera_terms(case, "emd.Dist_emd", terms) > 1
        loss = CameraWeights(
            angles=weights["origin"], radius=weights["radius"], fov=weights["fov"], look_at=weights["look_at"]
        ).total(terms)
        published = "emd_loss"
    elif kind == "force_mean":
        mean = torch.tensor([(one["min"] + one["max"]) / 2 for one in (origin["yaw"], origin["pitch"])] + [0.0])
        loss = force_mean(posterior, mean) * 10
        published = "force_mean"
    else:
        assert kind == "lipschitz", f"no test computes {kind}"
        weights = {part: options["lipschitz_weights"][part] for part in ("angles", "radius", "fov", "look_at")}
        terms = slope_terms(posterior, prior)
        assert check_camera_terms(case, "lipschitz.Dist_lipschitz", terms) > 1
        loss = CameraWeights(**weights).total(terms)
        published = "lipschitz_loss"
    expected = float(case[f"out.{kind}.Loss_camera_dist_{published}"])
    found = float(loss.detach())
    assert min(abs(found - expected), abs(found / 10 - expected)) < 1e-4 * expected
    loss.backward()
    assert check_gradients(adaptor, case, f"gradnorm.{kind}.", 1e-3) > 5
