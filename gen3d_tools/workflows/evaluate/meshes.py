"""`gen3d eval meshes`: the state of a set of meshes, and how well they agree with true ones of the same names."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gen3d_tools.errors import ENDS_BATCH, BatchError, Gen3DError, InputError, NotFoundError
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.geometry.mesh import mesh_health
from gen3d_tools.metrics.meshes.solids import ring, silhouette_iou, volume_iou
from gen3d_tools.metrics.meshes.surfaces import POINTS, THRESHOLD, compare_surfaces
from gen3d_tools.searching import files_below
from gen3d_tools.workflows.evaluate.measures import Better, Curve, Group, Measure, Sheet
from gen3d_tools.workflows.evaluate.report import claim_report, finish_report
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
MAX_POINTS = 10_000_000
_SHOWN, _SIDE = 5, 160
_HEALTH = ("watertight", "parts", "euler_number", "faces", "volume", "sound")


@dataclass(frozen=True, kw_only=True)
class MeshPlan:
    """How meshes are compared."""

    against: Path | None = None  # the folder of true ones; None = only their state
    points: int = POINTS
    threshold: float = THRESHOLD

    def check(self) -> None:
        """Refuse numbers out of their range.

        Raises:
            InputError: There is one.
        """
        if not 100 <= self.points <= MAX_POINTS:
            raise InputError(f"points is {self.points}; it must lie in 100..{MAX_POINTS:,}")
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold:g}; it is a share of the diagonal, within 0..1")


def evaluate_meshes(
    folder: str | Path, plan: MeshPlan, *, options: RunOptions | None = None, reporter: Reporter | None = None
) -> Run:
    """Measure every mesh below a folder.

    Args:
        folder: Holds the meshes.
        plan: What they are compared with, and how.
        options: A folder for the page and the numbers.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`. A mesh that cannot be measured is listed; the others are.
    """
    options, reporter = options or RunOptions(), reporter or Reporter()
    plan.check()
    told = {"subject": str(folder), "against": None if plan.against is None else str(plan.against)}
    run = Run("eval", "", {**asdict(plan), **told}, dry_run=options.dry_run, reporter=reporter)
    paths = claim_report(run, options)
    found = meshes_in(Path(folder))
    pairs = [(path, None) for path in found.values()] if plan.against is None else _pairs(found, Path(folder), plan)
    if run.dry_run:
        return finish_report(run, "", [], paths)
    rows, shown = [], list[tuple[float, str, Path, Path]]()
    with reporter.progress("measuring meshes", len(pairs)) as done:
        for number, (path, true) in enumerate(pairs, start=1):
            name = path.relative_to(folder).as_posix()
            try:
                rows.append({"name": name, **measure_mesh(path, true, plan)})
            except ENDS_BATCH:
                raise
            except Gen3DError as error:
                run.failures[name] = str(error)
            else:
                if true is not None:
                    shown.append((rows[-1]["chamfer_percent"], name, path, true))
            done(number)
    if not rows:
        name, message = next(iter(run.failures.items()))
        raise BatchError(f"none of {len(pairs)} meshes could be measured; {name}: {message}")
    group = _group(rows, len(found) - len(pairs), plan)
    if paths and shown:
        group.sheets += _sheets(shown)
    return finish_report(run, f"Meshes of {Path(folder).name}", [group], paths)


def meshes_in(folder: Path) -> dict[str, Path]:
    """Find the meshes below a folder by their names without suffix.

    Raises:
        NotFoundError: There is no such folder.
        InputError: It holds no meshes, two of one name, or a folder that is a link or cannot be read.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; give one that holds meshes ({', '.join(SUFFIXES)})")
    found: dict[str, Path] = {}
    for path in sorted(folder / name for name in files_below(folder) if name.lower().endswith(SUFFIXES)):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{folder} holds {found[name].name} and {path.name}; keep one mesh of a name")
        found[name] = path
    if not found:
        raise InputError(f"{folder} holds no meshes; give a folder of {', '.join(SUFFIXES)} files")
    return found


def _pairs(found: dict[str, Path], folder: Path, plan: MeshPlan) -> list[tuple[Path, Path | None]]:
    assert plan.against is not None, "there is something to compare with"
    true = meshes_in(plan.against)
    pairs: list[tuple[Path, Path | None]] = [(path, true[name]) for name, path in found.items() if name in true]
    if not pairs:
        raise InputError(
            f"no mesh in {folder} has the name of one in {plan.against} (such as {next(iter(found))} and "
            f"{next(iter(true))}); they are compared name by name"
        )
    return pairs


def measure_mesh(path: Path, true: Path | None, plan: MeshPlan) -> dict[str, Any]:
    """Measure one mesh; a top-level function of paths, so that it can be done anywhere.

    Raises:
        Gen3DError: It cannot be read, or has no surface.
    """
    mesh = read_mesh(path)
    health = mesh_health(mesh)
    row: dict[str, Any] = {name: getattr(health, name) for name in _HEALTH}
    if true is None:
        return row
    reference = read_mesh(true)
    row |= asdict(compare_surfaces(mesh, reference, points=plan.points, threshold=plan.threshold))
    row["volume_iou"] = volume_iou(mesh, reference)
    row["silhouette_iou"], row["worst_silhouette_iou"] = silhouette_iou(mesh, reference)
    return row


def _group(rows: Sequence[dict[str, Any]], unmatched: int, plan: MeshPlan) -> Group:
    closed = 100 * float(np.mean([row["watertight"] for row in rows]))
    sound = 100 * float(np.mean([row["sound"] for row in rows]))
    measures = [
        Measure(name="watertight", value=closed, unit="%", better="higher"),
        Measure(name="sound", value=sound, unit="%", better="higher", note="closed, no flaw, normals outward"),
        _mean(rows, "parts", "parts", ""),
        _mean(rows, "faces", "faces", ""),
    ]
    curves = []
    if plan.against is not None:
        share = f"within {100 * plan.threshold:g} % of the diagonal"
        measures = [
            _mean(rows, "Chamfer distance", "chamfer", "lower", "world units"),
            _mean(rows, "Chamfer distance, relative", "chamfer_percent", "lower", "% of the diagonal"),
            _mean(rows, "F-score", "f_score", "higher", note=share),
            _mean(rows, "normal consistency", "normal_consistency", "higher"),
            _mean(rows, "volumetric IoU", "volume_iou", "higher"),
            _mean(rows, "silhouette IoU", "silhouette_iou", "higher"),
            *measures,
        ]
        for title, key in (("Chamfer distance, % of the diagonal", "chamfer_percent"), ("F-score", "f_score")):
            curves.append(Curve(title=title, across=title, series={"meshes": [row[key] for row in rows]}))
    facts = {"meshes": len(rows), "without_a_true_one": unmatched, "points": plan.points}
    return Group(name="meshes", title="Meshes", measures=measures, facts=facts, rows=[*rows], curves=curves)


def _mean(
    rows: Sequence[dict[str, Any]], name: str, key: str, better: Better, unit: str = "", note: str = ""
) -> Measure:
    values = [float(row[key]) for row in rows if row[key] is not None]
    if not values:
        return Measure(name=name, value=None, unit=unit, better=better, note="no mesh is closed")
    if len(values) < len(rows):
        note = f"{note}; " if note else ""
        note += f"of {len(values)} that are closed"
    return Measure(
        name=name, value=float(np.mean(values)), spread=float(np.std(values)), unit=unit, better=better, note=note
    )


def _sheets(shown: Sequence[tuple[float, str, Path, Path]]) -> list[Sheet]:
    """The best and the worst meshes beside the true ones."""
    ranked = sorted(shown, key=lambda one: one[0])
    count = min(_SHOWN, max(len(ranked) // 2, 1))
    sheets = []
    for title, chosen in (("Nearest to the true ones", ranked[:count]), ("Farthest", ranked[::-1][:count])):
        pictures = [_pictures(path, true) for _, _, path, true in chosen]
        rows = [[pair[index] for pair in pictures] for index in range(2)]
        columns = [f"{name[-20:]}\n{value:.2f} %" for value, name, _, _ in chosen]
        sheets.append(Sheet(title=title, rows=rows, labels=["mesh", "true"], columns=columns))
    return sheets


def _pictures(path: Path, true: Path) -> list[Tensor]:
    """A mesh and the true one from the same camera, lit."""
    meshes = [read_mesh(path), read_mesh(true)]
    low, high = (np.asarray(one, dtype=float) for one in meshes[1].bounds)
    camera = ring(low, high, 8)[1]
    return [render_mesh(mesh, camera, _SIDE, shading=True).rgb for mesh in meshes]
