"""Parts of training among the numbers of EpiGRAF's and 3DGP's scripts: a discriminator, blur, patches of pictures."""

import re

import torch

from gen3d_tools.training.blurring import blurred, kernel
from gen3d_tools.training.discriminators.body import BodyConfig
from gen3d_tools.training.discriminators.patch import PatchDiscriminator
from gen3d_tools.training.patches import Patches, crop_patches, patch_coordinates
from gen3d_tools.training.schedules import blur_radius
from tests.parity.cases import Case, Report
from tests.parity.planes.models import inputs

DOWNWARDS = torch.tensor([1.0, -1.0])
LOGITS = {"atol": 1e-5}
GROUP = 2
"""Samples of a minibatch statistic, where a case says nothing else."""


def check_training_parts(case: Case, report: Report) -> None:
    """Check those parts that a case holds."""
    if "discriminator" in case.info:
        check_discriminator(case, report)
    given = inputs(case)
    for name in [name.removeprefix("out.") for name in case.tensors if name.startswith("out.")]:
        if match := re.fullmatch(r"blur_kernel_sigma([\d.]+)", name):
            sigma = float(match[1])
            report.stored(name, kernel(blur_radius(sigma), sigma, given["image"]), case, **LOGITS)
        elif match := re.fullmatch(r"blurred_sigma([\d.]+)", name):
            report.stored(name, blurred(given["image"], float(match[1])), case, **LOGITS)
        elif match := re.fullmatch(r"patch(es|_grid)_res(\d+)", name):
            patches, side = Patches(given["patch_scales"], given["patch_offsets"]), int(match[2])
            cropped = match[1] == "es"
            grid = patch_coordinates(patches, side) * DOWNWARDS
            report.stored(name, crop_patches(given["image"], patches, side) if cropped else grid, case, **LOGITS)


def check_discriminator(case: Case, report: Report) -> None:
    """Check logits, predicted features and the embedding of the patch."""
    told, given = case.info["discriminator"], inputs(case)
    tensors = {name[2:]: tensor for name, tensor in case.params.items() if name.startswith("D.")}
    image = given["D_img"]
    base = told.get("channel_base", int(told.get("cbase", 0) * told.get("fmaps", 1.0)))
    config = BodyConfig(
        image_channels=image.shape[1],
        channel_base=base,
        channel_max=told.get("channel_max", told.get("cmax")),
        clamp=told["conv_clamp"],
        group=told.get("mbstd_group_size", GROUP),
    )
    features = tensors.get("b4.feat_out.1.bias", torch.empty(0))
    network = PatchDiscriminator(
        config,
        side=image.shape[-1],
        extra_blocks=told["num_additional_start_blocks"],
        num_classes=given["D_c"].shape[1],
        camera_conditioned="D_camera_angles" in given,
        feature_dim=len(features),
        table_width=tensors["scalar_enc.const_embed.weight"].shape[1],
        modulation=len(tensors["hyper_mod_mapping.fc1.weight"]),
    )
    network.load_state_dict({name: tensors[name] for name in network.state_dict()})
    patches = Patches(given["D_scales"], given["D_offsets"])
    arguments = (image, patches, given["D_c"], given.get("D_camera_angles"))
    report.stored("D_logits", network(*arguments), case, **LOGITS)
    report.stored("D_scalar_emb", network.scalar_enc(patches.parameters), case, **LOGITS)
    if len(features):
        report.stored("D_feats", network.with_features(*arguments)[1], case, **LOGITS)
