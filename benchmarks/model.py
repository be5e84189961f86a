"""Rows about a model as it is: one picture, a film, a surface, and whole commands."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

import gen3d_tools as g3
from benchmarks.measuring import jobs
from benchmarks.measuring.rows import Effort, Row, decibels, largest_difference, row
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.base import Generator
from gen3d_tools.geometry.extraction.isosurface import raw_iso_level
from gen3d_tools.geometry.extraction.lattice import sample_lattice
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
from gen3d_tools.workflows.bench import plain_rays as plain
from gen3d_tools.workflows.bench.timing import measure


def rows(effort: Effort) -> Iterator[Row]:
    """Measure everything, one row after the other."""
    generator = g3.load_generator(effort.model, device="cpu")
    ws = generator.latents([0], truncation_psi=0.7)
    _warm_up(generator, ws)
    often = 5 * effort.repeat
    yield row("latent of a seed", measure(lambda: generator.latents([0], truncation_psi=0.7), repeat=often))
    yield row("planes of a latent", measure(lambda: generator.planes(ws), repeat=often))
    yield _picture(generator, ws, effort)
    yield _film(generator, ws, effort)
    yield _lattice(generator, ws, effort)
    yield from _surfaces(generator, ws, effort)
    yield from _jobs(effort)


def _warm_up(generator: Generator, ws: Tensor) -> None:
    """Do everything once and small, so that no first call is measured."""
    camera = generator.default_camera()
    (field,) = generator.fields(ws)
    g3.render(field, camera, resolution=8)
    _surface(field, 16)
    plain.picture(generator, ws, camera, 8)
    plain.lattice(generator, ws, 8)


def _picture(generator: Generator, ws: Tensor, effort: Effort) -> Row:
    camera, size, results = generator.default_camera(), 16 if effort.tiny else 128, {}

    def ours() -> None:
        (field,) = generator.fields(ws)
        results["ours"] = g3.render(field, camera, resolution=size).rgb

    def theirs() -> None:
        results["plain"] = plain.picture(generator, ws, camera, size)

    timing = measure(ours, theirs, repeat=effort.repeat)
    return row(f"picture {size}^2", timing, f"{decibels(results['ours'], results['plain']):.1f} dB")


def _film(generator: Generator, ws: Tensor, effort: Effort) -> Row:
    size, frames = (16, 2) if effort.tiny else (128, 4)
    cameras, results = orbit(frames, generator.default_camera()), {}

    def ours() -> None:
        (field,) = generator.fields(ws)
        results["ours"] = g3.render(field, cameras, resolution=size).rgb

    def theirs() -> None:
        results["plain"] = plain.film(generator, ws, cameras, size)

    timing = measure(ours, theirs, repeat=effort.repeat)
    agreement = f"{decibels(results['ours'], results['plain']):.1f} dB"
    return row(f"orbit, {frames} x {size}^2", timing, agreement)


def _lattice(generator: Generator, ws: Tensor, effort: Effort) -> Row:
    """Every value of a lattice; a surface needs far fewer."""
    resolution, results = 12 if effort.tiny else 128, {}

    def ours() -> None:
        (field,) = generator.fields(ws)
        values = sample_lattice(field.raw_density, resolution=resolution, box_side=field.box_side)
        results["ours"] = torch.from_numpy(values)

    def theirs() -> None:
        results["plain"] = plain.lattice(generator, ws, resolution)

    timing = measure(ours, theirs, repeat=effort.repeat)
    agreement = largest_difference(results["ours"], results["plain"])
    return row(f"lattice {resolution}^3, all values", timing, agreement)


def _surface(field: TriplaneField, resolution: int) -> None:
    level = raw_iso_level(field.iso_level, field.density_activation, field.density_shift)
    triplane_surface(field, resolution=resolution, iso_level=field.iso_level, raw_level=level)


def _surfaces(generator: Generator, ws: Tensor, effort: Effort) -> Iterator[Row]:
    resolution = 16 if effort.tiny else 256
    (field,) = generator.fields(ws)
    field.planes.requires_grad_(False)
    timing = measure(partial(_surface, field, resolution), repeat=effort.repeat)
    yield row(f"surface {resolution}^3, planes given", timing, wanted="" if effort.tiny else "1 s on 2 cores")
    timing = measure(lambda: g3.extract_mesh(field, resolution=resolution), repeat=effort.repeat)
    yield row(f"mesh {resolution}^3: level, colours, clean-up", timing)
    if generator.class_names:
        yield _slowest_mesh(generator, resolution, effort)


def _slowest_mesh(generator: Generator, resolution: int, effort: Effort) -> Row:
    """The class whose sample takes longest to mesh; the note has the seconds of every class."""
    timings = {}
    for name in generator.class_names:
        (field,) = generator.fields(generator.latents([0], [name], truncation_psi=0.7))
        timings[name] = measure(partial(g3.extract_mesh, field, resolution=resolution), repeat=effort.repeat)
    slowest = max(timings, key=lambda name: timings[name].ours)
    note = ", ".join(f"{name} {timing.ours:.2f}" for name, timing in timings.items())
    wanted = "" if effort.tiny else "1 s on 2 cores"
    return row(f"mesh {resolution}^3, slowest class: {slowest}", timings[slowest], wanted=wanted, note=note)


def _jobs(effort: Effort) -> Iterator[Row]:
    """Whole commands, measured once each: a process has its own start-up and its own peak."""
    yield row("gen3d --help", measure(jobs.help_seconds, repeat=effort.repeat), wanted="0.5 s")
    threads = torch.get_num_threads()
    mesh, size, frames = (16, 16, 2) if effort.tiny else (256, 128, 60)
    elapsed, peak = jobs.run_job("mesh", effort.model, size=mesh, frames=0, threads=threads)
    yield Row(name=f"mesh {mesh}^3, .glb", ours_s=elapsed, peak_bytes=peak, wanted="30 s, 2 GB")
    elapsed, peak = jobs.run_job("orbit", effort.model, size=size, frames=frames, threads=threads)
    yield Row(name=f"orbit, {frames} x {size}^2, .mp4", ours_s=elapsed, peak_bytes=peak, wanted="90 s, 2 GB")
