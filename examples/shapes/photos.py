"""Rebuild objects the generator never saw from one picture each: `python examples/shapes/photos.py --out runs/photos`.

The objects' latents are held out (from generator and encoder), their pictures sphere-traced from cameras that nobody
tells. Each picture is written as a file and given to `invert` as a person would give it; class, camera and object
that come back are compared with the truth. One JSON line per photo: interrupted runs go on where they stopped, and
`--minutes` does the work in pieces. Ends with a table per class in Markdown and a sheet of the best and the worst.
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
from dataset import CLASSES, Z_DIM, parameters, signed_distance
from encoder import angle_gap
from encoder_data import FOV_Y_DEG, RADIUS, draw_cameras
from evaluate import iou, mesh_occupancy, psnr
from torch import Tensor
from torch.nn import functional as F

import gen3d_tools as g3
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.inversion.api import invert
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.perception.prediction import Prediction

FIRST_SEED = 5000
TOLERANCE_DEG = 10.0
SAME_DEG = 2.0  # a turn that is hardly seen: what changes a picture less looks the same
TURNS_DEG = (-60.0, -30.0, 30.0, 60.0, 180.0)  # of the novel views
SHOWN_TURNS = (1, 4)  # of them, on the sheet
IOU_POINTS, MESH_RESOLUTION = 100_000, 128
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

    def direction_right(self, yaw_deg: float) -> bool:
        """Whether a direction is right modulo the object's symmetry.

        It is where it lies within 10 degrees, or where the true object looks from there as much like the photo as
        it does from 2 degrees beside the truth. The light stands still in the world, so a round object that is
        lit from another side does not pass.
        """
        gap = (yaw_deg - self.yaw_deg + 180) % 360 - 180
        if abs(gap) <= TOLERANCE_DEG:
            return True
        photo = self.picture(64)
        error = [float((self.picture(64, turn) - photo).square().mean()) for turn in (gap, -SAME_DEG, SAME_DEG)]
        return error[0] <= max(error[1:])


def judge_encoder(subject: Subject, answer: Prediction) -> dict[str, object]:
    """Compare the encoder's answer to one photo with the truth."""
    yaw = float(answer.yaw_deg)
    modes = answer.yaw_modes(3)[0][0]
    return {
        "class": CLASSES[int(answer.class_index)],
        "yaw_error": float(angle_gap(torch.tensor(yaw), torch.tensor(subject.yaw_deg))),
        "yaw_right": subject.direction_right(yaw),
        "one_of_3_within_10": bool((angle_gap(modes, torch.tensor(subject.yaw_deg)) <= TOLERANCE_DEG).any()),
        "pitch_error": abs(float(answer.pitch_deg) - subject.pitch_deg),
        "familiarity": float(answer.familiarity),
    }


def turned(camera: Camera, degrees: float) -> Camera:
    """Carry a camera around the object's vertical axis."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1]])
    return Camera(turn.to(camera.cam2world) @ camera.cam2world, camera.intrinsics)


def judge_result(subject: Subject, photo: Tensor, result: InversionResult) -> tuple[dict[str, object], list[Tensor]]:
    """Compare what an inversion found with the truth; also returns a row of pictures for the sheet."""
    size = photo.shape[-1]
    cameras = [turned(result.camera, degrees) for degrees in (0.0, *TURNS_DEG)]
    truth = [photo, *(subject.picture(size, degrees) for degrees in TURNS_DEG)]
    views = {
        stage: [g3.render(field, camera, resolution=size, supersample=2).rgb.cpu() for camera in cameras]
        for stage, field in (("one", result.pivot_field), ("two", result.field))
    }
    scores = {
        stage: [psnr(view, true) for view, true in zip(seen, truth, strict=True)] for stage, seen in views.items()
    }
    prepared = F.interpolate(result.photos[0].rgb[None].cpu(), (size, size), mode="area")[0]
    yaw, pitch, _ = map(float, result.camera.spherical())
    points = torch.rand(IOU_POINTS, 3, generator=torch.Generator().manual_seed(subject.number)) - 0.5
    solid = signed_distance(points[None], parameters(subject.z), subject.label)[0] < 0
    mesh = g3.extract_mesh(result.field, resolution=MESH_RESOLUTION, colors=False)
    novel = {stage: float(np.mean(values[1:])) for stage, values in scores.items()}
    row: dict[str, object] = {
        "class": result.class_name,
        "yaw_error": abs((yaw - subject.yaw_deg + 180) % 360 - 180),
        "yaw_right": subject.direction_right(yaw),
        "pitch_error": abs(pitch - subject.pitch_deg),
        "input_one": scores["one"][0],
        "input_two": scores["two"][0],
        "novel_one": novel["one"],
        "novel_two": novel["two"],
        "novel_two_by_turn": dict(zip(map(str, TURNS_DEG), scores["two"][1:], strict=True)),
        "improved": novel["two"] > novel["one"],
        "mesh_iou": iou(mesh_occupancy(mesh, points), solid),
        "prepared_change": float((prepared - photo).abs().mean()),
        "fit": result.fit,
        "warnings": list(result.warnings),
    }
    pictures = [photo, views["one"][0], views["two"][0]]
    for index in SHOWN_TURNS:
        pictures += [truth[1 + index], views["two"][1 + index]]
    return row, pictures


def run_one(
    number: int, options: argparse.Namespace, generator: g3.Generator, encoder: PhotoEncoder
) -> dict[str, object]:
    """Rebuild one object and return its line of the log."""
    subject = Subject.numbered(number)
    photo = subject.picture(options.size)
    row: dict[str, object] = {"number": number, "true_class": CLASSES[subject.label]}
    row["encoder"] = judge_encoder(subject, encoder(photo[None]))
    if options.encoder_only:
        return row
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_image(path, photo)
        wall, processor = time.perf_counter(), time.process_time()
        result = invert(generator, path, settings=options.preset)
        row |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}
    row["inversion"], pictures = judge_result(subject, photo, result)
    for index, picture in enumerate(pictures):
        write_image(options.out / "pictures" / f"{number:03d}-{index}.png", picture, overwrite=True)
    return row


def mean(rows: Sequence[dict], part: str, key: str) -> float:
    """Average a number of the log, true counting as 1."""
    return float(np.mean([float(row[part][key]) for row in rows]))


def accuracy(rows: Sequence[dict], part: str) -> float:
    """Share of the photos whose class was found."""
    return float(np.mean([row[part]["class"] == row["true_class"] for row in rows]))


def table(rows: Sequence[dict]) -> str:
    """Write the log as Markdown, a line per class and their mean."""
    lines = [
        "| class | photos | class right | azimuth right | encoder alone | input, dB | novel views, dB | improved "
        "| mesh IoU | CPU s |",
        "|" + " --- |" * 10,
    ]
    groups = [(name, [row for row in rows if row["true_class"] == name]) for name in CLASSES]
    for name, group in [*groups, ("**all**", list(rows))]:
        done = [row for row in group if "inversion" in row]
        if not done:
            continue
        numbers = {key: mean(done, "inversion", key) for key in ("yaw_right", "improved", "mesh_iou")}
        stages = [
            f"{mean(done, 'inversion', f'{what}_one'):.1f} -> {mean(done, 'inversion', f'{what}_two'):.1f}"
            for what in ("input", "novel")
        ]
        alone = f"{accuracy(group, 'encoder'):.0%} / {mean(group, 'encoder', 'yaw_right'):.0%}"
        lines.append(
            f"| {name} | {len(done)} | {accuracy(done, 'inversion'):.0%} | {numbers['yaw_right']:.0%} | {alone} "
            f"| {stages[0]} | {stages[1]} | {numbers['improved']:.0%} | {numbers['mesh_iou']:.3f} "
            f"| {np.mean([row['cpu_seconds'] for row in done]):.0f} |"
        )
    return "\n".join(lines)


def encoder_table(rows: Sequence[dict]) -> str:
    """Write what the encoder alone is worth as Markdown."""
    keys = ("yaw_right", "one_of_3_within_10", "yaw_error", "pitch_error", "familiarity")
    lines = [
        "| class | photos | class right | azimuth right | one of three directions right | azimuth error "
        "| pitch error | familiarity |",
        "|" + " --- |" * 8,
    ]
    groups = [(name, [row for row in rows if row["true_class"] == name]) for name in CLASSES]
    for name, group in [*groups, ("**all**", list(rows))]:
        if group:
            right, three, yaw, pitch, familiar = (mean(group, "encoder", key) for key in keys)
            lines.append(
                f"| {name} | {len(group)} | {accuracy(group, 'encoder'):.0%} | {right:.0%} | {three:.0%} | {yaw:.1f}° "
                f"| {pitch:.1f}° | {familiar:.2f} |"
            )
    return "\n".join(lines)


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
    parts = [encoder_table(rows)]
    if done:
        parts.insert(0, table(rows))
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
    parser.add_argument("--encoder-only", action="store_true", help="judge the encoder, rebuild nothing")
    options = parser.parse_args()
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
