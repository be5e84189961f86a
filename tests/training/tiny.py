"""Recipes and pictures that are small enough for every test."""

import json

import numpy as np
from PIL import Image

from gen3d_tools.training.recipes.recipe import load_recipe

SMALLER = {
    "3dgp": [
        "generator.z_dim=8",
        "generator.w_dim=8",
        "generator.plane_resolution=8",
        "generator.plane_channels=4",
        "generator.channel_base=64",
        "generator.channel_max=8",
        "generator.decoder_hidden=8",
        "generator.camera_hidden=8",
        "generator.camera_embed=4",
        "generator.depth_hidden=4",
        "patches.side=8",
        "patches.least_scale=0.5",
        "discriminator.channel_base=64",
        "discriminator.channel_max=8",
        "discriminator.modulation=8",
        "discriminator.table_width=4",
        "rendering.coarse_samples=4",
        "cameras.emd_samples=8",
        "cameras.force_mean_samples=8",
        "losses.r1_every=4",
        "data.features=none",
    ],
    "epigraf": [
        "generator.z_dim=8",
        "generator.w_dim=8",
        "generator.plane_resolution=8",
        "generator.plane_channels=4",
        "generator.channel_base=64",
        "generator.channel_max=8",
        "generator.decoder_hidden=8",
        "patches.side=8",
        "patches.least_scale=0.5",
        "discriminator.channel_base=64",
        "discriminator.channel_max=8",
        "discriminator.modulation=8",
        "discriminator.table_width=4",
        "rendering.coarse_samples=4",
        "losses.r1_every=4",
    ],
    "geometry-aware": [
        "generator.z_dim=8",
        "generator.w_dim=8",
        "generator.embed_dim=4",
        "generator.plane_resolution=8",
        "generator.plane_channels=4",
        "generator.channel_base=64",
        "generator.channel_max=8",
        "discriminator.channel_base=64",
        "discriminator.channel_max=8",
        "rendering.coarse_samples=4",
        "losses.density_every=4",
        "losses.r1_every=4",
    ],
    "eg3d": [
        "generator.z_dim=8",
        "generator.w_dim=8",
        "generator.mapping_width=8",
        "generator.embed_dim=8",
        "generator.plane_resolution=8",
        "generator.plane_channels=4",
        "generator.channel_base=64",
        "generator.channel_max=8",
        "generator.render_resolution=8",
        "discriminator.channel_base=256",
        "discriminator.channel_max=4",
        "rendering.coarse_samples=4",
        "cameras.source=prior",
        "optimisation.batch=4",
        "optimisation.round=4",
    ],
}
RUN = ["run.tick_kimg=0.016", "run.snapshot_kimg=0.04", "run.sheet_kimg=0", "run.score_kimg=0"]
BATCH = ["optimisation.batch=8", "optimisation.round=4"]


SWITCHED_OFF = {
    "data.depth=false": "generator.depth_",
    "generator.camera_generator=false": ("generator.camera_", "cameras.emd_", "cameras.force_mean"),
    "losses.density_weight=0": "losses.density_every",
}


def smaller(name, *more):
    """What makes a recipe small, without what other changes switch off."""
    off = [SWITCHED_OFF[one] for one in more if one in SWITCHED_OFF]
    if "losses.r1_gamma=0" in more and name in ("3dgp", "epigraf"):
        off.append("losses.r1_every")
    return [one for one in SMALLER[name] if not any(one.startswith(start) for start in off)]


def changes(name, *more):
    return [*smaller(name, *more), *([] if name == "eg3d" else BATCH), *RUN, *more]


def tiny_recipe(name, *more):
    return load_recipe(name, small=True, resolution=128 if name == "eg3d" else 16, changes=changes(name, *more))


def write_pictures(folder, count=12, side=16, classes=2):
    random = np.random.default_rng(0)
    labels = []
    for index in range(count):
        name = f"{index:02d}.png"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        depth = random.integers(0, 65535, (side, side), dtype=np.uint16)
        Image.fromarray(depth).save(folder / f"{index:02d}_depth.png")
        labels.append([name, index % classes])
    names = [f"kind {index}" for index in range(classes)]
    if classes:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels, "class_names": names}))
    return folder
