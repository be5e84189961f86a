"""How much of an inversion is luck: `python examples/shapes/luck.py --out runs/luck`.

Held-out photos (see `photos.py`) are rebuilt with several seeds on one thread, and with seed 0 on several numbers of
threads. The table gives the mean over the runs of each photo, and from the worst to the best how far they are apart:
the photo itself and views that nobody has seen, after stage two. One JSON line per run: interrupted runs go on.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from evaluate import psnr
from photos import Subject

import gen3d_tools as g3
from gen3d_tools.inversion.api import invert
from gen3d_tools.inversion.presets import preset
from gen3d_tools.media.images import write_image
from gen3d_tools.workflows.evaluate.inversions.judging import turned

TURNS_DEG = (-60.0, 60.0, 180.0)  # of the novel views
THREADS = (1, 2, 4)
COLUMNS = ("stage_one", "input", "novel")


def run_one(number: int, seed: int, threads: int, options: argparse.Namespace, generator: g3.Generator) -> dict:
    """Rebuild one object and return its line of the log."""
    subject = Subject.numbered(number)
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        write_image(path, subject.picture(options.size))
        start = time.process_time()
        result = invert(generator, path, settings=preset(options.preset).changed(seed=seed))
        seconds = time.process_time() - start
    views = [turned(result.camera, degrees) for degrees in TURNS_DEG]
    seen = [g3.render(result.field, view, resolution=options.size, supersample=2).rgb for view in views]
    truth = [subject.picture(options.size, degrees) for degrees in TURNS_DEG]
    return {
        "number": number,
        "seed": seed,
        "threads": threads,
        "class": result.class_name,
        "stage_one": result.metrics["stage_one"]["psnr"],
        "input": result.metrics["stage_two"]["psnr"],
        "novel": float(np.mean([psnr(view, true) for view, true in zip(seen, truth, strict=True)])),
        "cpu_seconds": seconds,
    }


def table(rows: Sequence[dict]) -> str:
    """Write the log as Markdown: mean and spread of every photo, over seeds and over threads."""
    lines = ["| photo | runs | stage one, dB | spread | input, dB | spread | novel views, dB | spread | over threads |"]
    lines.append("|" + " --- |" * 9)
    for number in sorted({row["number"] for row in rows}):
        mine = [row for row in rows if row["number"] == number]
        cells = [f"{number}", f"{len(mine)}"]
        for column in COLUMNS:
            values = [row[column] for row in mine]
            cells += [f"{np.mean(values):.1f}", f"{max(values) - min(values):.2f}"]
        same_seed = [row["input"] for row in mine if row["seed"] == 0]
        lines.append(f"| {' | '.join(cells)} | {max(same_seed, default=0) - min(same_seed, default=0):.2f} |")
    return "\n".join(lines)


def read_log(path: Path) -> list[dict]:
    """Read the lines of the log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main() -> None:
    """Read the command line, work through the runs that are left, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for luck.jsonl and summary.md")
    parser.add_argument("--model", default="shapes", help="model folder or bundled name")
    parser.add_argument("--photos", type=int, nargs="+", default=list(range(10)), help="numbers of the objects")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--size", type=int, default=128, help="side of the photos")
    parser.add_argument("--preset", default="balanced", help="fast, balanced or best")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "luck.jsonl"
    generator = g3.load_generator(options.model)
    done = {(row["number"], row["seed"], row["threads"]) for row in read_log(log)}
    wanted = [
        (number, seed, threads)
        for number in options.photos
        for seed, threads in [*((seed, 1) for seed in range(options.seeds)), *((0, n) for n in THREADS[1:])]
    ]
    for number, seed, threads in wanted:
        if (number, seed, threads) not in done:
            row = run_one(number, seed, threads, options, generator)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    summary = table(read_log(log))
    (options.out / "summary.md").write_text(summary + "\n", encoding="utf-8")
    print(summary)


if __name__ == "__main__":
    main()
