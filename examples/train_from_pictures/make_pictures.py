"""Make a folder of pictures to train from: toys of `examples/shapes`, traced from cameras that nobody writes down.

    python examples/train_from_pictures/make_pictures.py pictures --classes car --count 2000

Beside each picture lies a depth map as a monocular estimator would give it: in no unit, blurred, and with holes. The
classes stand in `dataset.json`; poses stand nowhere in the folder. `--truth FILE` writes them elsewhere, for those who
want to measure what was learned.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))

from dataset import CLASSES
from tracer import render

from gen3d_tools.cameras.poses import Pose

RADIUS, FOV_DEG = 2.7, 20.0
YAW, PITCH = 1.0, (1.05, 1.65)  # radians: half the range of yaws; polar angles from +y
BELL_YAW, BELL_PITCH = (0.0, 0.35), (1.25, 0.12)  # mean and standard deviation
BATCH = 16


def draw_poses(count: int, generator: torch.Generator, *, bell: bool = False) -> Pose:
    """Cameras around the front, from level to above: evenly, or most of them near one view."""
    if bell:
        yaw, pitch = (mean + std * torch.randn(count, generator=generator) for mean, std in (BELL_YAW, BELL_PITCH))
    else:
        yaw, pitch = (torch.rand(count, generator=generator) for _ in range(2))
        yaw, pitch = (2 * yaw - 1) * YAW, PITCH[0] + (PITCH[1] - PITCH[0]) * pitch
    return Pose.build(yaw, pitch, fov_deg=FOV_DEG, radius=RADIUS)


def estimated(distance: torch.Tensor, coverage: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What an inaccurate depth estimator would say: another scale and offset, blurred, with a patch missing.

    Args:
        distance: True distances [b, 1, n, n], world units.
        coverage: Share of each pixel where there is anything; what is empty is as far as can be.
        generator: Source of the errors.

    Returns:
        Numbers in [0, 1], near to far.
    """
    count, _, side, _ = distance.shape
    low, high = RADIUS - 0.6, RADIUS + 0.6
    scale, offset = (torch.rand(count, 1, 1, 1, generator=generator) for _ in range(2))
    unit = ((distance - low) / (high - low)).clamp(0, 1)
    unit = (unit * (0.85 + 0.3 * scale) + 0.1 * (offset - 0.5)).clamp(0, 1)
    unit = F.avg_pool2d(F.pad(unit, (1, 1, 1, 1), mode="replicate"), 3, 1)
    holes = torch.rand(count, 1, side // 8, side // 8, generator=generator) < 0.02
    empty = (F.interpolate(holes.float(), (side, side)) > 0.5) | (coverage == 0)
    return torch.where(empty, 1.0, unit)


def write_pair(stem: Path, picture: Float[Tensor, "3 n n"], depth: Float[Tensor, "1 n n"]) -> None:
    """Write a picture in [0, 1], and beside it its depth map of numbers in [0, 1], near to far."""
    pixels = (picture.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(f"{stem}.png")
    levels = (depth[0] * 65535).round().numpy().astype(np.uint16)
    Image.fromarray(levels).save(f"{stem}_depth.png")


def make_class(
    folder: Path, name: str, count: int, resolution: int, seed: int, *, bell: bool = False
) -> dict[str, list[float]]:
    """Trace toys of one class and write their pictures and depth maps; gives yaw and pitch of each by its name."""
    generator = torch.Generator().manual_seed(seed)
    names: dict[str, list[float]] = {}
    for start in range(0, count, BATCH):
        number = min(BATCH, count - start)
        z = torch.randn(number, 10, generator=generator)
        poses = draw_poses(number, generator, bell=bell)
        image, coverage, distance = render(z, CLASSES.index(name), poses.camera().cam2world, FOV_DEG, resolution)
        depth = estimated(distance, coverage, generator)
        for index in range(number):
            stem = f"{name}/{start + index:05d}"
            (folder / name).mkdir(parents=True, exist_ok=True)
            write_pair(folder / stem, image[index], depth[index])
            names[f"{stem}.png"] = poses.angles[index, :2].tolist()
        print(f"{name}: {len(names)} of {count}", end="\r", file=sys.stderr, flush=True)
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description="Trace toys to train from.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", nargs="+", default=["car"], choices=CLASSES)
    parser.add_argument("--count", type=int, default=2000, help="Pictures of each class.")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bell", action="store_true", help="Most cameras near one view, and none far from it.")
    parser.add_argument("--truth", type=Path, help="Write yaw and pitch of every picture to this file.")
    options = parser.parse_args(arguments)
    labels, truth = [], {}
    for label, name in enumerate(options.classes):
        made = make_class(
            options.folder, name, options.count, options.resolution, options.seed + label, bell=options.bell
        )
        truth |= made
        labels += [[one, label] for one in made]
    text = json.dumps({"labels": labels, "class_names": options.classes})
    (options.folder / "dataset.json").write_text(text, encoding="utf-8")
    if options.truth is not None:
        options.truth.write_text(json.dumps(truth), encoding="utf-8")
    print(f"{options.folder}: {len(labels)} pictures; field of view {math.radians(FOV_DEG):.3f} rad")


if __name__ == "__main__":
    main()
