"""Whole recorded steps: networks as they were, and draws that answer with the recorded numbers."""

import torch

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.objectives.base import RealBatch
from gen3d_tools.training.patches import PatchConfig, Patches
from gen3d_tools.training.recipes.sections import CamerasSection, DiscriminatorSection, LossSection
from gen3d_tools.training.synthesis.fakes import Request
from tests.support.official_pickles import official_bytes
from tests.training.recorded import Recorded
from tests.training.test_golden_discriminators import LATER_FROMRGB, load_strictly, patch_discriminator


class Replayed(Draws):
    """Answers with what was recorded; samples lie in the middles, and there is no noise."""

    def __init__(self, **answers) -> None:
        super().__init__(0)
        self.answers = {name: list(values) for name, values in answers.items()}

    @property
    def jitter(self):
        return None

    def _next(self, name):
        return self.answers[name].pop(0)

    def patches(self, config, count, group, kimg):
        return self._next("patches")

    def candidates(self, probabilities, count):
        return self._next("candidates").long()

    def uniform(self, *shape):
        return self._next("uniform").reshape(shape)

    def normal(self, *shape):
        return self._next("normal").reshape(shape)


def generator_of(case: Recorded, family: str, folder, config, kwargs):
    path = folder / "snapshot.pkl"
    path.write_bytes(official_bytes(family, kwargs, case.under("params.G."), config=config))
    return load_generator(path, device="cpu")


def patch_networks(case: Recorded, folder):
    """Generator and discriminator of a recorded EpiGRAF or 3DGP step."""
    info = case.info
    published = info["codebase"]
    cfg = info["G_cfg"] if published == "epigraf" else info["cfg"]["model"]["generator"]
    judge = info["D_cfg"] if published == "epigraf" else info["cfg"]["model"]["discriminator"]
    classes = case["in.Gall.c"].shape[1]
    kwargs = {
        "z_dim": case["in.Gall.z"].shape[1],
        "c_dim": classes,
        "w_dim": cfg["w_dim"],
        "img_resolution": cfg["dataset"]["resolution"],
        "img_channels": 3,
    }
    if published == "epigraf":
        kwargs |= {"channel_base": int(cfg["cbase"] * cfg["fmaps"]), "channel_max": cfg["cmax"]}
    generator = generator_of(case, "epigraf" if published == "epigraf" else "threedgp", folder, cfg, kwargs)
    side = judge["patch"]["resolution"]
    channels = case["in.real_img"].shape[1] + ("in.real_depth" in case)
    extra = dict(info)
    if "in.real_embs" in case:
        extra["feat_predict_dim"] = case["in.real_embs"].shape[1]
    tensors = case.discriminator()
    network = patch_discriminator(judge, info.get("D_kwargs", {}), extra, tensors, classes, side, channels)
    load_strictly(network, tensors, LATER_FROMRGB)
    return generator, network, judge


def patch_sections(case: Recorded, judge):
    info = case.info
    loss = (info["loss_cfg"] if info["codebase"] == "epigraf" else info["cfg"])["model"]["loss_kwargs"]
    kd = (loss.get("kd") or {}).get("discr") or {}
    cameras = CamerasSection()
    if info["codebase"] == "3dgp":
        options = info["cfg"]["model"]["generator"]["camera_adaptor"]
        emd = (
            options["emd"] if options["emd"]["enabled"] else dict.fromkeys(("origin", "radius", "fov", "look_at"), 0.0)
        )
        slope = options["lipschitz_weights"]
        slope = slope if slope["enabled"] else dict.fromkeys(("angles", "radius", "fov", "look_at"), 0.0)
        cameras = CamerasSection(
            emd_angles=emd["origin"],
            emd_radius=emd["radius"],
            emd_fov=emd["fov"],
            emd_look_at=emd["look_at"],
            emd_samples=options["emd"]["num_samples"],
            emd_kimg=options["emd"]["anneal_kimg"],
            force_mean=options["force_mean_weight"],
            **{f"slope_{name}": slope[name] for name in ("angles", "radius", "fov", "look_at")},
        )
    losses = LossSection(
        adversarial=loss.get("adv_loss_type", "non_saturating"),
        logit_limit=judge.get("logits_clamp_val"),
        r1_gamma=info["r1_gamma"],
        blur_sigma=loss["blur_init_sigma"],
        blur_kimg=loss["blur_fade_kimg"],
        distillation_weight=kd.get("weight", 0.0),
        distillation=kd.get("loss_type", "l2"),
        distillation_kimg=kd.get("anneal_kimg", 1.0),
    )
    patches = PatchConfig(side=judge["patch"]["resolution"], least_scale=0.5)
    return losses, cameras, DiscriminatorSection(group=judge["mbstd_group_size"]), patches


def patch_round(case: Recorded, phase: str, index: int, rows: slice) -> tuple[RealBatch, Request, Replayed]:
    """What went into one round of a phase."""
    start = f"in.{phase}."

    def given(name):
        return case.get(f"{start}{name}")

    onehot = given("c")[rows] if given("c").shape[1] else None
    real_onehot = case["in.real_c"][rows] if case["in.real_c"].shape[1] else None
    real = RealBatch(
        case["in.real_img"][rows],
        depth=case["in.real_depth"][rows] if "in.real_depth" in case else None,
        class_onehot=real_onehot,
        angles=case["in.real_angles"][rows] if "in.real_angles" in case else None,
        features=case["in.real_embs"][rows] if "in.real_embs" in case else None,
    )
    told = given("angles_cond")
    if case.info["codebase"] == "epigraf":
        camera = case.info["G_cfg"]["dataset"]["camera"]
        angles = given("angles")[rows]
        fov, radius = (torch.full((len(angles),), float(camera[name])) for name in ("fov", "radius"))
        poses = Pose(
            angles=angles,
            fov_deg=fov,
            radius=radius,
            look_at=torch.tensor([0.0, torch.pi / 2, 0.0]).expand(len(angles), 3),
            yaw_zero="x",
        )
        drawn = []
        for which in ("fake", "real"):
            scales = given(f"round{index}.{which}_scales")
            if scales is not None:
                drawn.append(Patches(scales, given(f"round{index}.{which}_offsets")))
        draws = Replayed(patches=drawn)
    else:
        names = ("angles", "fov", "radius", "look_at")
        angles, fov, radius, look_at = (given(f"prior.{name}")[rows] for name in names)
        poses = Pose(angles=angles, fov_deg=fov, radius=radius, look_at=look_at)
        drawn = [
            Patches(given(f"patch_scales_{place}"), given(f"patch_offsets_{place}"))
            for place in range(4)
            if given(f"patch_scales_{place}") is not None
        ]
        draws = Replayed(patches=drawn, candidates=[given("depth_candidate_0")])
        draws.cameras = [
            (given(f"reg_prior_{place}"), given(f"reg_z_{place}"), given(f"reg_c_{place}"))
            for place in range(4)
            if given(f"reg_prior_{place}") is not None
        ]
    request = Request(given("z")[rows], onehot, poses=poses, told_angles=None if told is None else told[rows])
    return real, request, draws
