"""Rebuild objects the generator never saw from one picture each: `python examples/shapes/photos.py --out runs/photos`.

The objects' latents are held out (from generator and encoder), their pictures sphere-traced from cameras that nobody
tells. Each picture is written as a file and given to `invert` as a person would give it; class, camera and object
that come back are compared with the truth. One JSON line per photo: interrupted runs go on where they stopped, and
`--minutes` does the work in pieces. Ends with a table per class in Markdown and a sheet of the best and the worst.

The same by the command, of photos on disk with what is known of them:

    python examples/shapes/photos.py --write --out photos --count 100
    gen3d eval inversion photos -o runs/photos
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tracer
import trimesh
from dataset import CLASSES, Z_DIM, parameters, signed_distance
from encoder_data import FOV_Y_DEG, RADIUS, draw_cameras
from evaluate import iou
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.geometry.extraction.isosurface import isosurface
from gen3d_tools.inversion.api import invert
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.metrics.meshes.solids import inside
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.workflows.evaluate.inversions.judging import judge_encoder, judge_inversion
from gen3d_tools.workflows.evaluate.inversions.tables import encoder_table, inversion_table
from gen3d_tools.workflows.evaluate.inversions.truth import SAME_DEG, TOLERANCE_DEG, wrapped_gap, write_truth

FIRST_SEED = 5000
TURNS_DEG = (-60.0, -30.0, 30.0, 60.0, 180.0)  # of the novel views
IOU_POINTS = 100_000
AROUND_SIDE, AROUND_STEP_DEG = 64, 2.0  # of the strip of pictures from all around, for --write
MESH_RESOLUTION = 160  # of the true meshes, for --write
COLUMNS = ("photo", "stage one", "stage two", "turned -30, true", "rebuilt", "turned 180, true", "rebuilt")


@dataclass(frozen=True)
class Subject:
    """One held-out object and the camera that takes its photo."""

    number: int
    label: int
    z: Tensor  # [1, z_dim]
    yaw_deg: float
    pitch_deg: float

    @staticmethod
    def numbered(number: int) -> "Subject":
        """Draw the object and the camera that belong to a number; classes come in turn."""
        seed = FIRST_SEED + number
        yaw, pitch = draw_cameras(1, torch.Generator().manual_seed(seed))
        return Subject(number, number % len(CLASSES), latent_z([seed], Z_DIM), float(yaw), float(pitch))

    def picture(self, size: int, turn_deg: float = 0.0) -> Tensor:
        """Draw it as it is, [3, size, size], with the camera turned around it."""
        camera = Camera.from_spherical(self.yaw_deg + turn_deg, self.pitch_deg, RADIUS, fov_y_deg=FOV_Y_DEG)
        return tracer.render(self.z, self.label, camera.cam2world[None], FOV_Y_DEG, size)[0][0]

    @property
    def class_name(self) -> str:
        """Name of its class."""
        return CLASSES[self.label]

    @property
    def turns(self) -> Sequence[float]:
        """Turns of the novel views, degrees."""
        return TURNS_DEG

    def volume_iou(self, mesh: trimesh.Trimesh) -> float:
        """Overlap of a mesh with the true solid."""
        points = torch.rand(IOU_POINTS, 3, generator=torch.Generator().manual_seed(self.number)) - 0.5
        solid = signed_distance(points[None], parameters(self.z), self.label)[0] < 0
        return iou(torch.from_numpy(inside(mesh, points.numpy())), solid)

    def mesh(self) -> trimesh.Trimesh:
        """Its true surface."""
        values = parameters(self.z)

        def depth(points: Tensor) -> Tensor:
            return -signed_distance(points.reshape(1, -1, 3), values, self.label)[0].reshape(points.shape[:-1])

        surface = isosurface(depth, resolution=MESH_RESOLUTION, box_side=1.0, iso_level=0.0)
        return trimesh.Trimesh(*surface, process=False)

    def direction_right(self, yaw_deg: float) -> bool:
        """Whether a direction is right modulo the object's symmetry.

        It is where it lies within 10 degrees, or where the true object looks from there as much like the photo as
        it does from 2 degrees beside the truth. The light stands still in the world, so a round object that is
        lit from another side does not pass.
        """
        gap = wrapped_gap(yaw_deg, self.yaw_deg)
        if abs(gap) <= TOLERANCE_DEG:
            return True
        photo = self.picture(64)
        error = [float((self.picture(64, turn) - photo).square().mean()) for turn in (gap, -SAME_DEG, SAME_DEG)]
        return error[0] <= max(error[1:])


def write_photos(out: Path, numbers: Sequence[int], size: int) -> None:
    """Write photos with all that is known of their objects, as `gen3d eval inversion` reads it."""
    entries = {}
    for folder in ("views", "around", "meshes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        subject, name = Subject.numbered(number), f"{number:03d}.png"
        views = {f"{turn:g}": f"views/{number:03d}{turn:+g}.png" for turn in TURNS_DEG}
        for turn, view in views.items():
            write_image(out / view, subject.picture(size, float(turn)), overwrite=True)
        turns = np.arange(0, 360, AROUND_STEP_DEG)
        strip = torch.cat([subject.picture(AROUND_SIDE, float(turn)) for turn in turns], dim=2)
        write_image(out / "around" / name, strip, overwrite=True)
        g3.write_mesh(out / "meshes" / f"{number:03d}.ply", subject.mesh(), overwrite=True)
        write_image(out / name, subject.picture(size), overwrite=True)
        entries[name] = {
            "class": subject.class_name,
            "yaw_deg": subject.yaw_deg,
            "pitch_deg": subject.pitch_deg,
            "views": views,
            "around": {"picture": f"around/{name}", "step_deg": AROUND_STEP_DEG},
            "mesh": f"meshes/{number:03d}.ply",
        }
    write_truth(out, entries)


def run_one(
    number: int, options: argparse.Namespace, generator: g3.Generator, encoder: PhotoEncoder
) -> dict[str, object]:
    """Rebuild one object and return its line of the log."""
    subject = Subject.numbered(number)
    photo = subject.picture(options.size)
    row: dict[str, object] = {"number": number, "true_class": CLASSES[subject.label]}
    row["encoder"] = judge_encoder(subject, encoder(photo[None]), CLASSES)
    if options.encoder_only:
        return row
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_image(path, photo)
        wall, processor = time.perf_counter(), time.process_time()
        result = invert(generator, path, settings=options.preset, background="border")  # white, and nothing else
        row |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}
    row["inversion"], pictures = judge_inversion(subject, photo, result)
    for index, picture in enumerate(pictures):
        write_image(options.out / "pictures" / f"{number:03d}-{index}.png", picture, overwrite=True)
    return row


def write_sheet(rows: Sequence[dict], out: Path, count: int = 3) -> None:
    """Show the best and the worst by their novel views after stage two."""
    ranked = sorted(rows, key=lambda row: -row["inversion"]["novel_two"])
    shown = ranked if len(ranked) <= 2 * count else [*ranked[:count], *ranked[-count:]]
    pictures = [
        [read_image(out / "pictures" / f"{row['number']:03d}-{index}.png") for index in range(len(COLUMNS))]
        for row in shown
    ]
    labels = [f"{row['true_class']}\n{row['inversion']['novel_two']:.1f} dB" for row in shown]
    write_image(out / "sheet.png", contact_sheet(pictures, labels, COLUMNS), overwrite=True)


def report(out: Path) -> None:
    """Write summary.md and the sheet from the log, and print the tables."""
    rows = read_log(out)
    done = [row for row in rows if "inversion" in row]
    parts = [encoder_table(rows, CLASSES)]
    if done:
        parts.insert(0, inversion_table(rows, CLASSES))
        write_sheet(done, out)
    (out / "summary.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts))


def read_log(out: Path) -> list[dict]:
    """Read the lines of the log, the last one of each photo, in the order of their numbers."""
    path = out / "photos.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = {row["number"]: row for row in map(json.loads, lines)}
    return [rows[number] for number in sorted(rows)]


def main() -> None:
    """Read the command line, work through the photos that are left, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for photos.jsonl, summary.md and sheet.png")
    parser.add_argument("--model", default="shapes", help="model folder or bundled name")
    parser.add_argument("--first", type=int, default=0, help="number of the first object")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=128, help="side of the photos")
    parser.add_argument("--preset", default="balanced", help="fast, balanced or best")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no further photo after this time")
    parser.add_argument("--write", action="store_true", help="only write photos and truth, for gen3d eval inversion")
    parser.add_argument("--encoder-only", action="store_true", help="judge the encoder, rebuild nothing")
    options = parser.parse_args()
    if options.write:
        write_photos(options.out, range(options.first, options.first + options.count), options.size)
        return
    (options.out / "pictures").mkdir(parents=True, exist_ok=True)
    generator = g3.load_generator(options.model)
    encoder = load_encoder(options.model)
    if encoder is None:
        raise SystemExit(f"{options.model} has no encoder; train one with encoder.py")
    done = {row["number"] for row in read_log(options.out) if options.encoder_only or "inversion" in row}
    start = time.monotonic()
    for number in (n for n in range(options.first, options.first + options.count) if n not in done):
        if time.monotonic() - start > 60 * options.minutes:
            break
        with torch.inference_mode(options.encoder_only):
            row = run_one(number, options, generator, encoder)
        with (options.out / "photos.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
    report(options.out)


if __name__ == "__main__":
    main()
