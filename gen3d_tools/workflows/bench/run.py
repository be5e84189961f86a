"""`gen3d bench`: how long a model's work takes here, beside the plain procedure, on this machine's processor."""

import json
import math
import os
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import atomic_path, check_writable
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.networks.precision import computes_in_bfloat16
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.geometry.extraction.isosurface import bordered_lattice, raw_iso_level
from gen3d_tools.geometry.extraction.lattice import check_range, sample_lattice
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.bench import plain_rays as plain
from gen3d_tools.workflows.bench.plain_backbone import synthesize
from gen3d_tools.workflows.bench.timing import Timing, Work, machine, measure
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.places import output_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import choose_samples, make_ws
from gen3d_tools.workflows.samples.views import check_size

FILE_NAME = "bench.json"
CHUNKS = 2  # of the plain lattice that are timed; the rest costs the same per point
MAX_REPEAT = 100
MAX_THREADS = os.cpu_count() or 1  # more make waiting, not work


@dataclass(frozen=True, kw_only=True)
class BenchSize:
    """How large the pieces of work are."""

    picture: int = 128  # pixels along each side
    lattice: int = 256  # points along each side
    repeat: int = 3  # rounds, plain and ours in turns

    def check(self) -> None:
        """Refuse what cannot be measured, before any work.

        Raises:
            InputError: A value is out of its range.
        """
        check_size(self.picture)
        check_range(self.lattice)
        if not 1 <= self.repeat <= MAX_REPEAT:
            raise InputError(f"repeat is {self.repeat}; it must lie in 1..{MAX_REPEAT} rounds")


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One piece of work, done both ways."""

    work: str
    ours_s: float  # seconds on the clock, median
    plain_s: float | None = None  # None where the plain procedure does not know how
    ratio: float | None = None  # plain / ours in processor time, median of the rounds
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """A model and what is measured of it."""

    generator: Generator
    ws: Float[Tensor, "1 num_ws w_dim"]
    size: BenchSize

    def rows(self) -> Iterator[BenchRow]:
        """Measure one piece of work after the other; everything is done once and small before."""
        self._warm_up()
        scene = self._scene()
        yield _row("latent to scene", scene, note="" if self._backbone else "plain: the same")
        if computes_in_bfloat16(self.ws.device.type):
            half = measure(lambda: self.generator.fields(self.ws, dtype=torch.bfloat16), repeat=self.size.repeat)
            yield _row("latent to scene, bfloat16", half, note="for previews")
        yield self._picture()
        yield self._frame()
        yield self._surface(scene)

    @property
    def _backbone(self) -> SynthesisNetwork | None:
        return next((part for part in self.generator.modules() if isinstance(part, SynthesisNetwork)), None)

    def _warm_up(self) -> None:
        (field,) = self.generator.fields(self.ws)
        render(field, self.generator.default_camera(), resolution=8, super_resolution=False)
        _mesh(field, 16)

    def _scene(self) -> Timing:
        network = self._backbone
        ours: Work = partial(self.generator.fields, self.ws)
        theirs = ours if network is None else partial(synthesize, network, self.ws[:, : network.num_ws])
        with torch.no_grad():
            return measure(ours, theirs, repeat=self.size.repeat)

    def _picture(self) -> BenchRow:
        """From the latent; a super-resolution, which has to run for every picture in both, is left out."""
        camera, side = self.generator.default_camera(), self.size.picture

        def ours() -> None:
            (field,) = self.generator.fields(self.ws)
            render(field, camera, resolution=side, super_resolution=False)

        return self._beside_plain(f"latent to a picture of {side} x {side}", ours, "with what further frames reuse")

    def _frame(self) -> BenchRow:
        """A further view of a sample: ours keeps the scene and what was learned of them."""
        (field,) = self.generator.fields(self.ws)
        camera, side = self.generator.default_camera(), self.size.picture

        def ours() -> None:
            render(field, camera, resolution=side, super_resolution=False)

        ours()
        return self._beside_plain(f"a further frame of {side} x {side}", ours)

    def _beside_plain(self, work: str, ours: Work, note: str = "") -> BenchRow:
        camera, side = self.generator.default_camera(), self.size.picture
        try:
            plain.picture(self.generator, self.ws, camera, 8)
        except InputError:
            return _row(work, measure(ours, repeat=self.size.repeat), note="no plain way for this model")

        def theirs() -> None:
            plain.picture(self.generator, self.ws, camera, side)

        return _row(work, measure(ours, theirs, repeat=self.size.repeat), note=note)

    def _surface(self, scene: Timing) -> BenchRow:
        """From the latent to the triangles at the suggested level; plain makes the scene again for every chunk."""
        resolution = self.size.lattice
        count = min(plain.CHUNK_POINTS, resolution**3)
        chunks = math.ceil(resolution**3 / count)
        (field,) = self.generator.fields(self.ws)
        points = (torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * field.box_side
        timed = min(CHUNKS, chunks)

        @torch.no_grad()
        def theirs() -> None:
            for _ in range(timed):
                field(points)

        timing = measure(lambda: _mesh(field, resolution), theirs, repeat=self.size.repeat)
        timing = timing.scaled(resolution**3 / (timed * count)).after(scene, plain_runs=chunks)
        note = f"plain: {timed} of {chunks} chunks timed"
        return _row(f"latent to a surface of {resolution}^3", timing, note=note)


def _mesh(field: RadianceField, resolution: int) -> None:
    """March where the suggested level is met; evaluate all points where the kernels do not serve."""
    values = sample_lattice(field.raw_density, resolution=16, box_side=field.box_side)
    lowest, highest = float(values.min()), float(values.max())
    level = raw_iso_level(field.iso_level, field.density_activation, field.density_shift)
    level = min(level, highest - 1e-3 * (highest - lowest))  # models without training may never reach it
    if triplane_surface(field, resolution=resolution, iso_level=field.iso_level, raw_level=level) is None:
        bordered_lattice(
            field.raw_density, resolution=resolution, box_side=field.box_side, detail=field.detail, iso_level=level
        )


def _row(work: str, timing: Timing, note: str = "") -> BenchRow:
    return BenchRow(work=work, ours_s=timing.ours, plain_s=timing.plain, ratio=timing.ratio, note=note)


def bench(
    model: str,
    *,
    seeds: str | None = None,
    classes: str | None = None,
    size: BenchSize | None = None,
    threads: int | None = None,
    base: str | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Measure a model's work on this machine's processor beside the plain procedure.

    Args:
        model: Whatever `load_generator` takes.
        seeds: Which sample; one.
        classes: Its class.
        size: How large the work is.
        threads: Threads for the work; as many as torch uses if None.
        base: The model that a result was tuned from, see `load_generator`.
        out: The JSON file; by default `gen3d-out/bench-<model>/bench.json`.
        overwrite: Replace it.
        dry_run: Say what would be measured, and stop.
        reporter: Told what was measured.

    Returns:
        The run; `details["rows"]` and `details["machine"]` are the result.

    Raises:
        InputError: A value is out of its range, or more than one sample is named.
        Gen3DError: See `load_generator`.
    """
    size, reporter = size or BenchSize(), reporter or Reporter()
    size.check()
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise InputError(f"threads is {threads}; it must lie in 1..{MAX_THREADS}, the processors of this machine")
    path = output_path(out) or output_folder("bench", model) / FILE_NAME
    check_writable(path, overwrite=overwrite, kind="file")
    if path.suffix.lower() != ".json":
        raise InputError(f"{path} is to hold JSON; try -o {path.with_suffix('.json')}")
    generator = load_generator(model, device="cpu", base=base)
    samples = choose_samples(generator, seeds, classes)
    if len(samples) != 1:
        raise InputError(f"bench measures one sample, {len(samples)} are named; name one class and one seed")
    options = {"seeds": seeds, "class": classes, "threads": threads, **asdict(size)}
    run = Run("bench", model, options, dry_run=dry_run, reporter=reporter)
    claim(run, [path], path if out else path.parent, RunOptions(overwrite=overwrite, base=base))
    line = f"{samples[0].label}: scene, a picture of {size.picture}^2, a surface of {size.lattice}^3"
    if dry_run:
        run.add(path, line)
        return run
    found, rows = _measure_all(Bench(generator, make_ws(generator, samples), size), threads, reporter)
    run.details.update(machine=found, rows=[asdict(row) for row in rows])
    with run.recording():
        with atomic_path(path, overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps(run.details, indent=2) + "\n", encoding="utf-8")
        run.add(path, line)
    return run.finish(next_command=f"gen3d mesh {shlex.quote(model)}{samples[0].options}")


def _measure_all(bench: Bench, threads: int | None, reporter: Reporter) -> tuple[dict[str, Any], list[BenchRow]]:
    """Measure with so many threads, on what machine, and leave torch's threads as they were."""
    before, rows = torch.get_num_threads(), []
    torch.set_num_threads(threads or before)
    try:
        with torch.no_grad():
            for row in bench.rows():
                rows.append(row)
                reporter.say(f"measured: {row.work}")
        return machine(), rows
    finally:
        torch.set_num_threads(before)
