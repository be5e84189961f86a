"""`gen3d eval inversion`: photos are inverted one by one, and what comes out is compared with what is known of them."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.errors import ENDS_BATCH, BatchError, Gen3DError, InputError, NotFoundError
from gen3d_tools.files import atomic_files
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.generators.source import config_digest, find_source
from gen3d_tools.inversion.api import invert
from gen3d_tools.media.images import read_image, write_image
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.perception.perceptual import PerceptualDistance, choose_distance
from gen3d_tools.workflows.evaluate.inversions.judging import judge_encoder, judge_inversion, shown_views
from gen3d_tools.workflows.evaluate.inversions.tables import accuracy, inversion_table, mean
from gen3d_tools.workflows.evaluate.inversions.truth import FolderTruth, read_truth
from gen3d_tools.workflows.evaluate.measures import Better, Curve, Group, Measure, Sheet
from gen3d_tools.workflows.evaluate.report import cache_folder, claim_report, finish_report
from gen3d_tools.workflows.invert.run import WorkOptions
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions

PHOTOS = (".png", ".jpg", ".jpeg", ".webp")
TABLE_NAME = "table.md"
_SHOWN = 3
_VERSION = 1  # of what is kept of a photo


@dataclass(frozen=True, kw_only=True)
class InversionPlan:
    """Which model inverts, and how."""

    model: str = "shapes"
    work: WorkOptions = field(default_factory=WorkOptions)
    lpips: str | None = None  # "lpips-vgg", "lpips-alex" or a TorchScript file; None leaves LPIPS out
    cache: Path | None = None


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all photos of a run share."""

    generator: Generator
    encoder: PhotoEncoder | None
    distance: PerceptualDistance | None
    plan: InversionPlan
    digest: str  # of all that the result of a photo depends on besides the photo
    cache: Path | None


def evaluate_inversions(
    folder: str | Path, plan: InversionPlan, *, options: RunOptions | None = None, reporter: Reporter | None = None
) -> Run:
    """Invert every photo of a folder and measure what comes out.

    Args:
        folder: Square photos; `truth.json` says what is known of them, see `truth`.
        plan: Which model, how much work, which perceptual distance.
        options: A folder for the page, the numbers and the table; the device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`. A photo that cannot be inverted is listed; the others are.
    """
    options, reporter, folder = options or RunOptions(), reporter or Reporter(), Path(folder)
    plan.work.settings()
    told = {"subject": str(folder), "lpips": plan.lpips, **vars(plan.work)}
    run = Run("eval", plan.model, told, dry_run=options.dry_run, reporter=reporter)
    paths = claim_report(run, options, more=(TABLE_NAME,))
    cache_folder(plan.cache, options)
    photos = photos_in(folder)
    truths = read_truth(folder, list(photos))
    bench = _bench(plan, options, run)
    if run.dry_run:
        return finish_report(run, "", [], paths)
    rows, pictures = [], dict[str, list[Tensor]]()
    with reporter.progress("inverting photos", len(photos)) as done:
        for number, (name, path) in enumerate(photos.items(), start=1):
            try:
                row, pictures[name] = _kept_or_made(path, truths[name], bench)
            except ENDS_BATCH:
                raise
            except Gen3DError as error:
                run.failures[name] = str(error)
            else:
                rows.append({"name": name, **row})
            done(number)
    if not rows:
        name, message = next(iter(run.failures.items()))
        raise BatchError(f"none of {len(photos)} photos could be measured; {name}: {message}")
    group = _group(rows, bench)
    if paths:
        group.sheets.append(_sheet(rows, pictures, truths))
    table = inversion_table(rows, bench.generator.class_names)
    return finish_report(run, f"Inversions of {folder.name}", [group], paths, texts={TABLE_NAME: table + "\n"})


def photos_in(folder: Path) -> dict[str, Path]:
    """Find the photos in a folder, not below it, by their names.

    Raises:
        NotFoundError: There is no such folder.
        InputError: It holds no photos.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; give one that holds photos")
    found = {one.name: one for one in sorted(folder.iterdir()) if one.suffix.lower() in PHOTOS and not one.is_dir()}
    if not found:
        raise InputError(f"{folder} holds no photos; give a folder of {', '.join(PHOTOS)} files")
    return found


def _bench(plan: InversionPlan, options: RunOptions, run: Run) -> _Bench:
    generator = load_generator(plan.model, device=options.device, base=options.base)
    if isinstance(generator, TripoSR) or generator.pivot is not None:
        raise InputError(f"{plan.model} is no generator that photos are inverted with; give one with latents")
    distance = None if plan.lpips is None else choose_distance(plan.lpips, None)  # pictures are on the CPU
    about = {"version": _VERSION, "model": run.model_sha256, "lpips": plan.lpips, **vars(plan.work)}
    about["config"] = config_digest(find_source(plan.model))
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return _Bench(generator, load_encoder(plan.model), distance, plan, digest, cache_folder(plan.cache, options))


def _kept_or_made(path: Path, truth: FolderTruth, bench: _Bench) -> tuple[dict[str, Any], list[Tensor]]:
    """Take what an earlier run found of a photo, or invert it and keep that."""
    photo = read_image(path)
    if photo.shape[1] != photo.shape[2]:
        raise InputError(f"{path} is {photo.shape[2]} x {photo.shape[1]}; measured photos are square, so crop it first")
    if bench.cache is None:
        return measure_photo(path, photo, truth, bench)
    key = hashlib.sha256(bench.digest.encode() + path.read_bytes() + _truth_digest(truth)).hexdigest()[:20]
    kept, strip = (bench.cache / f"inversion-{key}{suffix}" for suffix in (".json", ".png"))
    if kept.is_file() and strip.is_file():
        try:
            row = json.loads(kept.read_text(encoding="utf-8"))
            return row, list(torch.split(read_image(strip), photo.shape[2], dim=2))
        except (ValueError, Gen3DError):
            pass  # it is damaged, and made again
    row, pictures = measure_photo(path, photo, truth, bench)
    with atomic_files([kept, strip], overwrite=True) as [new, new_strip]:
        new.write_text(json.dumps(row), encoding="utf-8")
        write_image(new_strip, torch.cat(pictures, dim=2))
    return row, pictures


def _truth_digest(truth: FolderTruth) -> bytes:
    """Digest of all that is known of a photo."""
    found = hashlib.sha256(repr((truth.class_name, truth.yaw_deg, truth.pitch_deg, truth.step_deg)).encode())
    for turn, view in truth.views.items():
        found.update(f"{turn}".encode() + view.read_bytes())
    for file in (truth.around, truth.mesh):
        found.update(b"-" if file is None else file.read_bytes())
    return found.digest()


def measure_photo(path: Path, photo: Tensor, truth: FolderTruth, bench: _Bench) -> tuple[dict[str, Any], list[Tensor]]:
    """Invert one photo and compare."""
    row: dict[str, Any] = {"true_class": truth.class_name}
    if bench.encoder is not None:
        with torch.no_grad():
            answer = bench.encoder(photo[None])
        row["encoder"] = judge_encoder(truth, answer, bench.generator.class_names)
    wall, processor = time.perf_counter(), time.process_time()
    settings = bench.plan.work.settings()
    result = invert(bench.generator, path, settings=settings, features=bench.plan.work.features)
    row |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}
    row["inversion"], pictures = judge_inversion(truth, photo, result, bench.distance)
    return row, pictures


_MEASURES: tuple[tuple[str, str, str, Better], ...] = (
    ("input PSNR before tuning", "input_one", "dB", "higher"),
    ("input PSNR", "input_two", "dB", "higher"),
    ("input SSIM", "ssim_two", "", "higher"),
    ("input LPIPS", "lpips_two", "", "lower"),
    ("novel-view PSNR before tuning", "novel_one", "dB", "higher"),
    ("novel-view PSNR", "novel_two", "dB", "higher"),
    ("yaw error", "yaw_error", "°", "lower"),
    ("pitch error", "pitch_error", "°", "lower"),
    ("azimuth right", "yaw_right", "%", "higher"),
    ("volumetric IoU", "mesh_iou", "", "higher"),
)


def _group(rows: Sequence[dict[str, Any]], bench: _Bench) -> Group:
    measures = []
    for name, key, unit, better in _MEASURES:
        if (value := mean(rows, "inversion", key)) is None:
            continue
        scale = 100 if unit == "%" else 1
        values = [row["inversion"][key] for row in rows if row["inversion"].get(key) is not None]
        spread = None if unit == "%" else float(np.std(values))
        measures.append(Measure(name=name, value=scale * value, spread=spread, unit=unit, better=better))
    if (right := accuracy(rows, "inversion")) is not None:
        measures.append(Measure(name="class right", value=100 * right, unit="%", better="higher"))
    facts = {
        "photos": len(rows),
        "model": bench.plan.model,
        "preset": bench.plan.work.preset,
        "lpips": "not measured" if bench.distance is None else bench.distance.name,
        "processor_seconds_per_photo": float(np.mean([row["cpu_seconds"] for row in rows])),
    }
    series = {"input": [row["inversion"]["input_two"] for row in rows]}
    if all("novel_two" in row["inversion"] for row in rows):
        series["novel views"] = [row["inversion"]["novel_two"] for row in rows]
    curve = Curve(title="PSNR of the photos", across="dB", series=series)
    flat = [_flat(row) for row in rows]
    return Group(name="inversion", title="Inversion", measures=measures, facts=facts, rows=flat, curves=[curve])


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row for tables: what was found beside what it should be, then everything."""
    found = row["inversion"]
    short = {"name": row["name"], "class": found["class"], "true_class": row["true_class"]}
    keys = ("input_two", "ssim_two", "lpips_two", "novel_two", "yaw_error", "pitch_error", "mesh_iou", "fit")
    return short | {key: found[key] for key in keys if key in found} | {"all": row}


def _sheet(rows: Sequence[dict[str, Any]], pictures: dict[str, list[Tensor]], truths: dict[str, FolderTruth]) -> Sheet:
    """The best and the worst photos by their novel views, or by the photo where there are none."""

    def score(row: dict[str, Any]) -> float:
        return float(row["inversion"].get("novel_two", row["inversion"]["input_two"]))

    ranked = sorted(rows, key=score, reverse=True)
    chosen = ranked if len(ranked) <= 2 * _SHOWN else [*ranked[:_SHOWN], *ranked[-_SHOWN:]]
    turns = list(truths[chosen[0]["name"]].turns)
    columns = ["photo", "stage one", "stage two"]
    for index in shown_views(turns):
        columns += [f"turned {turns[index]:g}, true", "rebuilt"]
    return Sheet(
        title="Best and worst",
        rows=[pictures[row["name"]][: len(columns)] for row in chosen],
        labels=[f"{row['name'][-16:]}\n{score(row):.1f} dB" for row in chosen],
        columns=columns,
    )
