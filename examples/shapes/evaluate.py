"""Measure a model against the true shapes: `python examples/shapes/evaluate.py weights/shapes`.

Latents are held out (the trainer never draws numpy's `RandomState(seed)`), pictures and meshes are made by
the package's own renderer and mesher, and the truth is sphere-traced. Prints one table in Markdown.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tracer
from dataset import CLASSES, Z_DIM, parameters, signed_distance
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.metrics.meshes.solids import inside

FIRST_SEED = 1000


@dataclass(frozen=True)
class Row:
    """Means over the samples of one class."""

    name: str
    psnr: float  # dB, held-out views
    silhouette_iou: float
    mesh_iou: float
    components: float  # parts of the mesh


def psnr(image: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]."""
    return float(-10 * torch.log10((image - truth).square().mean() + 1e-12))


def iou(first: Tensor, second: Tensor) -> float:
    """Intersection over union of two masks."""
    return float((first & second).sum() / (first | second).sum().clamp_min(1))


def measure_class(generator: Generator, label: int, *, samples: int, resolution: int, mesh_resolution: int) -> Row:
    """Render and mesh `samples` held-out latents of one class and compare them with the truth."""
    seeds = range(FIRST_SEED, FIRST_SEED + samples)
    cameras = generator.sample_cameras(samples, seeds)
    fields = generator.fields(generator.latents(seeds, [label] * samples))
    z = latent_z(seeds, Z_DIM)
    fov_y_deg = float(cameras.fov_y_deg[0])
    truth, alpha, _ = tracer.render(z, label, cameras.cam2world, fov_y_deg, resolution)
    scores = []
    for i, field in enumerate(fields):
        frame = g3.render(field, cameras[i], resolution=resolution, supersample=2)
        mesh = g3.extract_mesh(field, resolution=mesh_resolution, colors=False)
        points = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(i)) - 0.5
        solid = signed_distance(points[None], parameters(z[i : i + 1]), label)[0] < 0
        scores.append(
            [
                psnr(frame.rgb, truth[i]),
                iou(frame.opacity > 0.5, alpha[i] > 0.5),
                iou(torch.from_numpy(inside(mesh, points.numpy())), solid),
                float(len(mesh.split(only_watertight=False))),
            ]
        )
    return Row(CLASSES[label], *np.mean(scores, axis=0).tolist())


def table(rows: list[Row]) -> str:
    """Write the rows and their mean as Markdown."""
    numbers = np.array([[row.psnr, row.silhouette_iou, row.mesh_iou, row.components] for row in rows])
    mean = Row("**mean**", *numbers.mean(0).tolist())
    lines = ["| class | PSNR, dB | silhouette IoU | mesh IoU | parts |", "| --- | --- | --- | --- | --- |"]
    for row in [*rows, mean]:
        lines.append(
            f"| {row.name} | {row.psnr:.1f} | {row.silhouette_iou:.3f} | {row.mesh_iou:.3f} | {row.components:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder or bundled name")
    parser.add_argument("--samples", type=int, default=8, help="held-out latents per class")
    parser.add_argument("--resolution", type=int, default=128, help="side of the pictures")
    parser.add_argument("--mesh-resolution", type=int, default=128)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    generator = g3.load_generator(options.model)
    rows = [
        measure_class(
            generator,
            label,
            samples=options.samples,
            resolution=options.resolution,
            mesh_resolution=options.mesh_resolution,
        )
        for label in range(len(CLASSES))
    ]
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
