"""How the bundled model does on things that artists made: `python examples/shapes/real_models.py SETS --out runs/real`.

SETS is a folder of unpacked sets of furniture (see `furniture.py`); nothing is downloaded. Each model of a class that
the generator knows is drawn under a sky with a sun from a camera that nobody tells, and given to the encoder alone, or
with `--invert` to the whole inversion. Cameras belong to the models, so that every version of the code sees the same
pictures. One JSON line per photo: interrupted runs go on where they stopped. Ends with a table and a sheet.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from furniture import CATALOGUE, Entry, Model, read_set
from jaxtyping import Float
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.inversion.api import invert
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.workflows.evaluate.inversions.judging import turned

SIZE = 128
RADIUS, FOV_Y_DEG = 2.7, 20.0
TOLERANCE_DEG = 20.0
SAME_DEG = 4.0  # a turn that is hardly seen: what changes a picture less looks the same
STEP_DEG = 5.0  # from one turn that is tried to the next
TURNS_DEG = (-60.0, -30.0, 30.0, 60.0, 180.0)  # of the novel views
SHOWN = ("photo", "rebuilt", "turned 60, true", "rebuilt", "turned 180, true", "rebuilt")
_SHOWN_TURNS = (3, 4)


def camera_of(entry: Entry, turn_deg: float = 0.0) -> Camera:
    """The camera that takes a model's photo, from the front or the side and a little above, turned around it."""
    random = np.random.default_rng([len(entry.set_name), entry.number])
    yaw, pitch = random.uniform(-75, 75), random.uniform(5, 35)
    return Camera.from_spherical(yaw + turn_deg, pitch, RADIUS, fov_y_deg=FOV_Y_DEG)


def silhouette_iou(first: Float[Tensor, "1 n n"], second: Float[Tensor, "1 n n"]) -> float:
    """Intersection over union of two coverages."""
    a, b = first > 0.5, second > 0.5
    return float((a & b).sum() / (a | b).sum().clamp_min(1))


def same_turns(model: Model, entry: Entry) -> Float[np.ndarray, " turns"]:
    """Turns of the model's symmetry, degrees; 0 is among them.

    From there it looks (without its light) as much like the photo as from 4 degrees beside the truth.
    """
    photo = model.draw(camera_of(entry), 64, lit=False)[0]

    def error(turn_deg: float) -> float:
        return float((model.draw(camera_of(entry, turn_deg), 64, lit=False)[0] - photo).square().mean())

    allowed = max(error(-SAME_DEG), error(SAME_DEG))
    return np.array([turn for turn in np.arange(0.0, 360.0, STEP_DEG) if error(turn) <= allowed])


def direction_right(entry: Entry, turns_deg: Float[np.ndarray, " turns"], yaw_deg: float) -> bool:
    """Whether a direction is right modulo the symmetry of the model: within 20 degrees of one that looks the same."""
    gap = yaw_deg - float(camera_of(entry).spherical()[0]) - turns_deg
    return bool((np.abs((gap + 180) % 360 - 180) <= TOLERANCE_DEG).any())


def judge(
    entry: Entry, options: argparse.Namespace, generator: g3.Generator, encoder: PhotoEncoder
) -> dict[str, object]:
    """Score one model; the line of the log."""
    model = entry.read()
    turns_deg = same_turns(model, entry)
    photo = model.draw(camera_of(entry), SIZE)[0]
    answer = encoder(photo[None])
    row: dict[str, object] = {"set": entry.set_name, "number": entry.number, "name": entry.name}
    row |= {"true_class": entry.class_name, "held_out": entry.held_out}
    row["encoder"] = {
        "class": generator.class_names[int(answer.class_index)],
        "yaw_right": direction_right(entry, turns_deg, float(answer.yaw_deg)),
        "familiarity": float(answer.familiarity),
    }
    if not options.invert:
        return row
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_image(path, photo)
        begun = time.process_time()
        result = invert(generator, path, settings=options.preset, background="border")  # white, and nothing else
        seconds = time.process_time() - begun
    yaw = float(result.camera.spherical()[0])
    turns = (0.0, *TURNS_DEG)
    true = [model.draw(camera_of(entry, turn), SIZE) for turn in turns]
    cameras = [result.photos[0].uncropped(turned(result.camera, turn)) for turn in turns]
    found = [g3.render(result.field, camera, resolution=SIZE, supersample=2) for camera in cameras]
    ious = [silhouette_iou(one.opacity.cpu(), mask) for one, (_, mask) in zip(found, true, strict=True)]
    error = float((found[0].rgb.cpu() - photo).square().mean())
    row["inversion"] = {
        "class": result.class_name,
        "yaw_right": direction_right(entry, turns_deg, yaw),
        "input_iou": ious[0],
        "input_psnr": -10 * math.log10(max(error, 1e-12)),
        "novel_iou": float(np.mean(ious[1:])),
        "fit": result.fit,
        "cpu_seconds": seconds,
    }
    pictures = [photo, found[0].rgb.cpu()]
    for index in _SHOWN_TURNS:
        pictures += [true[1 + index][0], found[1 + index].rgb.cpu()]
    for place, picture in enumerate(pictures):
        write_image(options.out / "pictures" / f"{entry.set_name}-{entry.number}-{place}.png", picture, overwrite=True)
    return row


def table(rows: Sequence[dict]) -> str:
    """Write the log as Markdown, a line per class and their mean."""
    lines = [
        "| class | models | class right | azimuth right | encoder alone | photo's silhouette | PSNR, dB "
        "| novel silhouettes |",
        "|" + " --- |" * 8,
    ]
    names = sorted({row["true_class"] for row in rows})
    for name, group in [
        *((name, [row for row in rows if row["true_class"] == name]) for name in names),
        ("**all**", rows),
    ]:
        alone = f"{_right(group, 'encoder'):.0%} / {_mean(group, 'encoder', 'yaw_right'):.0%}"
        done = [row for row in group if "inversion" in row]
        cells = ["-"] * 5
        if done:
            found = {
                key: _mean(done, "inversion", key) for key in ("yaw_right", "input_iou", "input_psnr", "novel_iou")
            }
            cells = [
                f"{_right(done, 'inversion'):.0%}",
                f"{found['yaw_right']:.0%}",
                f"{found['input_iou']:.2f}",
                f"{found['input_psnr']:.1f}",
                f"{found['novel_iou']:.2f}",
            ]
        lines.append(f"| {name} | {len(group)} | {cells[0]} | {cells[1]} | {alone} | {' | '.join(cells[2:])} |")
    return "\n".join(lines)


def _mean(rows: Sequence[dict], part: str, key: str) -> float:
    return float(np.mean([float(row[part][key]) for row in rows]))


def _right(rows: Sequence[dict], part: str) -> float:
    return float(np.mean([row[part]["class"] == row["true_class"] for row in rows]))


def write_sheet(rows: Sequence[dict], out: Path) -> None:
    """Put the inverted photos on one sheet, best novel views first."""
    done = sorted((row for row in rows if "inversion" in row), key=lambda row: -row["inversion"]["novel_iou"])
    if not done:
        return
    pictures = [
        [read_image(out / "pictures" / f"{row['set']}-{row['number']}-{place}.png") for place in range(len(SHOWN))]
        for row in done
    ]
    write_image(out / "sheet.png", contact_sheet(pictures, [row["name"] for row in done], list(SHOWN)), overwrite=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, help="folder of unpacked sets, or one set")
    parser.add_argument("--out", type=Path, required=True, help="folder for log.jsonl, table.md and the sheet")
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--invert", action="store_true", help="the whole inversion, not the encoder alone")
    parser.add_argument("--held-out", action="store_true", help="only the third that nothing was trained on")
    parser.add_argument("--preset", default="balanced")
    options = parser.parse_args(arguments)
    folders = [options.sets] if (options.sets / CATALOGUE).is_file() else sorted(options.sets.iterdir())
    entries = [entry for folder in folders if (folder / CATALOGUE).is_file() for entry in read_set(folder)]
    entries = [entry for entry in entries if entry.held_out or not options.held_out]
    if not entries:
        parser.error(
            f"no models of our classes in {options.sets}; unpack the .sh3f files there (unzip), one folder each"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    known = {(row["set"], row["number"]) for row in rows}
    generator = g3.load_generator(options.model)
    encoder = load_encoder(options.model)
    if encoder is None:
        parser.error(f"{options.model} has no encoder")
    for entry in entries:
        if (entry.set_name, entry.number) in known:
            continue
        rows.append(judge(entry, options, generator, encoder))
        with log.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    (options.out / "table.md").write_text(table(rows) + "\n")
    write_sheet(rows, options.out)
    print(table(rows))


if __name__ == "__main__":
    main()
