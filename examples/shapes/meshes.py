"""How good the bundled model's meshes are: from seeds to textured .glb, class by class, compared with the pictures.

    python examples/shapes/meshes.py --seeds 0-4 --json meshes.json

For every sample: the surface at 256^3, 20,000 faces, a texture of 1024, written as .glb; then its health, and how
well it agrees with the field over a ring of eight views of 256 x 256. Times are of the processor, all threads together,
from the latent to the file. A class's row has the worst of its seeds.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import gen3d_tools as g3
from gen3d_tools.generators.base import Generator
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.mesh import mesh_health
from gen3d_tools.metrics.agreement import compare
from gen3d_tools.workflows.mesh.options import MeshOptions
from gen3d_tools.workflows.mesh.preview import REPORT_SIZE, RING_VIEWS, ring, view_config
from gen3d_tools.workflows.mesh.sample import make_mesh
from gen3d_tools.workflows.samples.selection import Sample, choose_samples, make_fields

SURFACE = MeshOptions(faces=20_000, texture=1024)
LEAST_IOU, LEAST_PSNR, MOST_SECONDS = 0.985, 26.0, 12.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one sample."""

    class_name: str
    seed: int
    faces: int
    sound: bool  # watertight, nothing degenerate or double, faces and normals outwards
    shells: int
    degenerate: int  # or double
    iou: float
    psnr: float
    seconds: float

    @property
    def passes(self) -> bool:
        """Whether it is as good as promised."""
        return self.sound and self.iou >= LEAST_IOU and self.psnr >= LEAST_PSNR and self.seconds <= MOST_SECONDS


def measure(generator: Generator, one: Sample, folder: Path) -> Result:
    """Mesh a sample and compare it with its field."""
    start = time.process_time()
    [field] = make_fields(generator, [one])
    dressed = make_mesh(field, generator.settings, SURFACE, only_textured=True)
    write_mesh(folder / f"{one.stem}.glb", dressed.best, overwrite=True)
    seconds = time.process_time() - start
    health = mesh_health(dressed.plain)
    cameras = ring(generator.settings, RING_VIEWS)
    config = view_config(generator.settings, cameras)
    agreement = compare(field, dressed.best, cameras, REPORT_SIZE, config=config)
    return Result(
        class_name=one.class_name,
        seed=one.seed or 0,
        faces=health.faces,
        sound=health.sound,
        shells=health.shells,
        degenerate=health.degenerate_faces + health.duplicate_faces,
        iou=agreement.silhouette_iou,
        psnr=agreement.color_psnr,
        seconds=seconds,
    )


def print_results(results: list[Result]) -> None:
    """Print the worst of every class."""
    table = Table("class", "passes", "sound", "shells", "degenerate", "IoU", "PSNR", "seconds", box=None)
    for name in dict.fromkeys(one.class_name for one in results):
        rows = [one for one in results if one.class_name == name]
        table.add_row(
            name,
            f"{sum(one.passes for one in rows)} of {len(rows)}",
            f"{sum(one.sound for one in rows)} of {len(rows)}",
            " ".join(str(one.shells) for one in rows),
            str(sum(one.degenerate for one in rows)),
            f"{min(one.iou for one in rows):.4f}",
            f"{min(one.psnr for one in rows):.1f} dB",
            f"{max(one.seconds for one in rows):.1f}",
        )
    Console().print(table)


def main() -> None:
    """Measure the classes and seeds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--classes", default="all", help="names, such as mug,chair")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--json", type=Path, help="also write every sample's figures here")
    arguments = parser.parse_args()
    generator = g3.load_generator(arguments.model)
    samples = choose_samples(generator, arguments.seeds, arguments.classes)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for one in samples:
            results.append(measure(generator, one, Path(folder)))
            print(results[-1], flush=True)
    print_results(results)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
