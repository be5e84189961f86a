"""What is measured: one function per group of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import gen3d_tools as g3
from benchmarks import jobs
from benchmarks.timing import Timing, measure
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.generators.base import Generator
from gen3d_tools.geometry.lattice import sample_lattice
from gen3d_tools.workflows import plain


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the pieces of work are."""

    picture: int = 128  # pixels along each side
    film: int = 4  # frames filmed side by side
    lattices: tuple[int, ...] = (64, 128)  # points along each side
    mesh_job: int = 256
    orbit_job: int = 10  # frames


DEFAULT = Sizes()
FULL = Sizes(film=10, lattices=(64, 128, 256), orbit_job=60)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    ours_s: float
    plain_s: float | None = None
    ratio: float | None = None  # plain / ours, processor time
    agreement: str = ""  # how far the two results are apart
    peak_bytes: int | None = None
    wanted: str = ""  # what the project asks of itself on 2 cores


@dataclass(frozen=True)
class Bench:
    """A model and how to measure it."""

    model: str
    generator: Generator
    sizes: Sizes
    repeat: int

    def rows(self) -> Iterator[Row]:
        """Measure everything, one row after the other."""
        self._warm_up()
        yield from self._steps()
        yield self._picture()
        yield self._film()
        for resolution in self.sizes.lattices:
            yield self._lattice(resolution)
        yield from self._jobs()

    def _warm_up(self) -> None:
        """Do everything once and small, so that no first call is measured."""
        ws, camera = self._ws(), self.generator.default_camera()
        (field,) = self.generator.fields(ws)
        g3.render(field, camera, resolution=8)
        plain.picture(self.generator, ws, camera, 8)
        sample_lattice(field.raw_density, resolution=8, box_side=field.box_side)
        plain.lattice(self.generator, ws, 8)

    def _ws(self) -> Tensor:
        return self.generator.latents([0], truncation_psi=0.7)

    def _steps(self) -> Iterator[Row]:
        """The generator's own part of the work; the plain procedure does the same, only more often."""
        ws, often = self._ws(), 5 * self.repeat
        yield _row("latent of a seed", measure(self._ws, repeat=often))
        yield _row("planes of a latent", measure(lambda: self.generator.planes(ws), repeat=often))

    def _picture(self) -> Row:
        ws, camera, size = self._ws(), self.generator.default_camera(), self.sizes.picture
        results = {}

        def ours() -> None:
            (field,) = self.generator.fields(ws)
            results["ours"] = g3.render(field, camera, resolution=size).rgb

        def theirs() -> None:
            results["plain"] = plain.picture(self.generator, ws, camera, size)

        timing = measure(ours, theirs, repeat=self.repeat)
        return _row(f"picture {size}^2", timing, _decibels(results["ours"], results["plain"]))

    def _film(self) -> Row:
        ws, size, frames = self._ws(), self.sizes.picture, self.sizes.film
        cameras = orbit(frames, self.generator.default_camera())
        results = {}

        def ours() -> None:
            (field,) = self.generator.fields(ws)
            results["ours"] = g3.render(field, cameras, resolution=size).rgb

        def theirs() -> None:
            results["plain"] = plain.film(self.generator, ws, cameras, size)

        timing = measure(ours, theirs, repeat=self.repeat)
        return _row(f"orbit, {frames} x {size}^2", timing, _decibels(results["ours"], results["plain"]))

    def _lattice(self, resolution: int) -> Row:
        ws, results = self._ws(), {}

        def ours() -> None:
            (field,) = self.generator.fields(ws)
            values = sample_lattice(field.raw_density, resolution=resolution, box_side=field.box_side)
            results["ours"] = torch.from_numpy(values)

        def theirs() -> None:
            results["plain"] = plain.lattice(self.generator, ws, resolution)

        timing = measure(ours, theirs, repeat=self.repeat)
        return _row(f"lattice {resolution}^3", timing, _largest_difference(results["ours"], results["plain"]))

    def _jobs(self) -> Iterator[Row]:
        """Whole commands, measured once each: a process has its own start-up and its own peak."""
        yield _row("gen3d --help", measure(jobs.help_seconds, repeat=self.repeat), wanted="0.5 s")
        sizes, threads = self.sizes, torch.get_num_threads()
        elapsed, peak = jobs.run_job("mesh", self.model, size=sizes.mesh_job, frames=0, threads=threads)
        wanted = "30 s, 2 GB" if sizes.mesh_job == 256 else ""
        yield Row(name=f"mesh {sizes.mesh_job}^3, .glb", ours_s=elapsed, peak_bytes=peak, wanted=wanted)
        frames, size = sizes.orbit_job, sizes.picture
        elapsed, peak = jobs.run_job("orbit", self.model, size=size, frames=frames, threads=threads)
        wanted = "90 s, 2 GB" if (frames, size) == (60, 128) else "2 GB"
        yield Row(name=f"orbit, {frames} x {size}^2, .mp4", ours_s=elapsed, peak_bytes=peak, wanted=wanted)


def _row(name: str, timing: Timing, agreement: str = "", wanted: str = "") -> Row:
    return Row(
        name=name, ours_s=timing.ours, plain_s=timing.plain, ratio=timing.ratio, agreement=agreement, wanted=wanted
    )


def _decibels(ours: Tensor, theirs: Tensor) -> str:
    """How alike pictures are. Ours places its samples within the box only, so they are not equal."""
    error = (ours - theirs).square().mean()
    return f"{-10 * torch.log10(error + 1e-12).item():.1f} dB"


def _largest_difference(ours: Tensor, theirs: Tensor) -> str:
    """How far raw densities are apart, as a share of their range."""
    spread = theirs.max() - theirs.min()
    return f"{((ours - theirs).abs().max() / spread).item():.0e}"
