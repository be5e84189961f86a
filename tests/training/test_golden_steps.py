"""Whole steps of EpiGRAF's and 3DGP's code: losses, gradients, and parameters afterwards."""

import pytest
import torch

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
    kimg, of_main = case.info["cur_nimg"] / 1000, None
    for phase in objective.schedule():
        if f"in.{phase.name}.z" not in case:
            continue
        gathered = Gathered()
        parts = [patch_round(case, phase.name, index, rows) for index, rows in enumerate(rounds)]
        run_phase(contest, phase, parts, kimg=kimg, gathered=gathered, reduction="sum")
        check_figures(case, phase.name, gathered)
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


def check_figures(case, phase, gathered):
    """Compare what was reported, round by round."""
    compared = 0
    for name, published in FIGURES.items():
        for start in (f"out.stat.{phase}.", f"out.stat.{phase}.round0."):
            key = start + published
            if key in case and name in gathered.values:
                found, expected = gathered.values[name][0], case[key]
                assert found.shape == expected.shape
                error = (found - expected).abs().max()
                assert float(error.detach()) < 1e-4 * max(1.0, float(expected.abs().max())), (phase, name, float(error))
                compared += 1
    assert compared


@pytest.mark.parametrize(("name", "kind"), parts("camera_regularisers", r"out\.(\w+)\.posterior"))
def test_camera_regularisers(name, kind):
    from gen3d_tools.generators.networks.epigraf.camera_generator import CameraBounds, CameraGenerator
    from gen3d_tools.training.losses.cameras import CameraWeights, earth_movers, force_mean, slope_terms

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
        loss = CameraWeights(**weights).total(slope_terms(posterior, prior))
        published = "lipschitz_loss"
    expected = float(case[f"out.{kind}.Loss_camera_dist_{published}"])
    found = float(loss.detach())
    assert min(abs(found - expected), abs(found / 10 - expected)) < 1e-4 * expected
    loss.backward()
    assert check_gradients(adaptor, case, f"gradnorm.{kind}.", 1e-3) > 5
