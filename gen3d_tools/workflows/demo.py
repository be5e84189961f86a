"""`gen3d demo`: what the bundled generator can do, in about a minute on a CPU, and one page that shows it.

The whole way of the data in one file: seeds and classes -> latents -> fields -> pictures, a film, a mesh; and back,
from a photo to a latent and a tuned generator.
"""

import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.paths import orbit
from gen3d_tools.files import atomic_files, check_all_writable
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.mesh import extract_mesh, mesh_health
from gen3d_tools.inversion import pti
from gen3d_tools.inversion.api import find_helpers
from gen3d_tools.inversion.presets import preset
from gen3d_tools.inversion.results.storage import OVERVIEW_NAME, base_reference, check_base, write_files
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.kernels.compiling.ahead import second_process
from gen3d_tools.media.images import write_image
from gen3d_tools.media.page import NextCommand, PageEntry, PageItem, PageMesh, PageSection, write_page
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.media.video import VideoWriter
from gen3d_tools.photos.photo import load_photo
from gen3d_tools.rendering.renderer import render, render_frames
from gen3d_tools.workflows import warm
from gen3d_tools.workflows.running.claims import check_ours, check_record_free
from gen3d_tools.workflows.running.places import free_folder, output_path
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run
from gen3d_tools.workflows.samples.selection import Sample, choose_samples, make_fields, make_ws

GRID_NAME = "grid.png"
ORBIT_NAME = "orbit.mp4"
BLEND_NAME = "blend.png"
RESULT_NAME = "from-photo"
PAGE_NAME = "index.html"
PHOTO_NAME = "demo_photo.png"
INVERSION = preset("fast").changed(search_starts=2, steps1=18, steps2=12)
"""Of the photo that comes with the package: a few steps less than "fast"."""
_TICKS = 1000  # of the progress bar


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """What the demo shows. The sizes are chosen for half a minute on two CPU cores, behind what is compiled once."""

    model: str = "shapes"
    psi: float = 1.0  # truncation; 1 = off
    grid_seeds: str = "1,3"  # of every class
    grid_size: int = 112  # pixels of each picture
    orbit: tuple[str, int] = ("house", 3)  # class and seed
    orbit_frames: int = 40
    orbit_fps: float = 20.0
    orbit_size: int = 256  # pixels
    blend_from: tuple[str, int] = ("mushroom", 1)
    blend_to: tuple[str, int] = ("lamp", 4)
    blend_steps: int = 7  # pictures, both ends included
    mesh: tuple[str, int] = ("mug", 4)
    mesh_resolution: int = 128  # lattice points along each side of the box
    inversion: str | InversionSettings = INVERSION

    @property
    def mesh_name(self) -> str:
        """The mesh's file."""
        return f"{self.mesh[0]}.glb"

    @property
    def names(self) -> tuple[str, ...]:
        """Every file and folder the demo writes, beside its record."""
        return GRID_NAME, ORBIT_NAME, BLEND_NAME, self.mesh_name, RESULT_NAME, PAGE_NAME


PLAN = DemoPlan()
INTRO = """\
Every object here was made up by a small neural network from the name of a class and a random number, the seed. \
It does not draw pictures: it makes a solid thing, which can be looked at from everywhere, filmed, and taken \
home as a mesh. It also works backwards: from a photo to the thing."""
NEXT_COMMANDS = (
    NextCommand(purpose="Sixteen mushrooms", command="gen3d sample shapes --class mushroom --seeds 0-15 --grid"),
    NextCommand(
        purpose="A film of four rockets", command="gen3d video shapes --class rocket --seeds 0-3 -o rockets.mp4"
    ),
    NextCommand(
        purpose="Cars that become each other",
        command="gen3d video shapes --class car --seeds 0-3 --interpolate -o cars.mp4",
    ),
    NextCommand(purpose="Your own photo in 3D", command="gen3d invert photo.jpg -o result"),
    NextCommand(purpose="A chair for Blender", command="gen3d mesh shapes --class chair --seeds 7 -o chair.glb"),
)


def demo(
    out: str | Path | None = None,
    *,
    plan: DemoPlan | None = None,
    device: str = "auto",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Make a contact sheet, a film, a blend, a mesh, a thing from its photo, and the page that shows them.

    Args:
        out: Folder for the outputs; None makes one in `gen3d-out`. All of them appear together, at the end.
        plan: What to make; `PLAN` if None.
        device: "auto", "cpu", "cuda", ...
        overwrite: Replace an earlier demo. Other files in the folder stay as they are.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    plan, reporter, folder = plan or PLAN, reporter or Reporter(), output_path(out) or free_folder("demo")
    run = Run("demo", plan.model, asdict(plan), reporter=reporter)
    run.place_record(folder, folder=True)
    check_record_free(run)
    paths = [folder / name for name in plan.names]
    if overwrite:
        check_ours(run, [path for path in paths if os.path.lexists(path)])
    check_all_writable(paths, overwrite=overwrite)
    VideoWriter(folder / ORBIT_NAME, plan.orbit_fps, overwrite=overwrite)  # needs ffmpeg: better said now than later
    generator = load_generator(plan.model, device=device)
    # The first picture takes `wanted` from `second_process`.
    compilers = warm.Compilers(wanted=second_process.wanted and generator.device.type == "cpu")
    reporter.say(f"A minute on two CPU cores. Everything appears in {folder} at the end.")
    with run.recording(), atomic_files(paths, overwrite=overwrite) as temporary:
        places = dict(zip(plan.names, temporary, strict=True))
        steps = _Steps(run, places, reporter)
        with steps.step(GRID_NAME, f"all {len(generator.class_names)} classes, seeds {plan.grid_seeds}") as path:
            write_image(path, _grid(generator, plan, reporter, compilers))
        with steps.step(ORBIT_NAME, f"a walk around {_caption(plan.orbit)}") as path:
            _film(path, generator, plan, reporter)
        with steps.step(BLEND_NAME, f"from {_caption(plan.blend_from)} to {_caption(plan.blend_to)}") as path:
            write_image(path, _blend(generator, plan, reporter))
        with steps.step(plan.mesh_name, f"{_caption(plan.mesh)} as a coloured mesh") as path:
            compilers.finish("meshes")
            mesh = _mesh(generator, plan, reporter)
            write_mesh(path, mesh)
        with steps.step(RESULT_NAME, "a toy it has never seen, from one photo: a model for every command") as path:
            compilers.finish("gradients")
            _from_photo(path, generator, plan, reporter)
        with steps.step(PAGE_NAME, "shows all of this, offline; the mesh turns") as path:
            _page(path, places, plan, mesh)
        for name in plan.names:
            run.note(folder / name)
    for name in plan.names:
        reporter.made(folder / name)
    return run.finish(
        next_command=f"open {shlex.quote(str(folder / PAGE_NAME))} in a browser, then try",
        further_commands=[entry.command for entry in NEXT_COMMANDS],
    )


@dataclass(frozen=True)
class _Steps:
    """Times each step and tells the user."""

    run: Run
    places: Mapping[str, Path]  # where the outputs are made, by their names
    reporter: Reporter

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[Path]:
        start = time.perf_counter()
        yield self.places[name]
        seconds = time.perf_counter() - start
        self.reporter.say(f"{name:<12} {what} ({seconds:.1f} s)")
        self.run.details.setdefault("steps", {})[name] = round(seconds, 3)


def _sample(generator: Generator, class_and_seed: tuple[str, int]) -> Sample:
    class_name, seed = class_and_seed
    return Sample(seed, class_index(class_name, generator.class_names), class_name)


def _caption(class_and_seed: tuple[str, int]) -> str:
    return "{} {}".format(*class_and_seed)


def _grid(
    generator: Generator, plan: DemoPlan, reporter: Reporter, compilers: warm.Compilers
) -> Float[Tensor, "3 height width"]:
    """Draw every class: a column each, a row per seed. After the first picture other processes begin to compile."""
    samples = choose_samples(generator, plan.grid_seeds, "all")
    seeds = list(dict.fromkeys(one.seed for one in samples))
    rows: dict[int | None, list[Tensor]] = {seed: [] for seed in seeds}
    with reporter.progress("drawing", len(samples)) as done:
        for count, one in enumerate(samples, start=1):
            [field] = make_fields(generator, [one], plan.psi)
            picture = render(field, generator.default_camera(), resolution=plan.grid_size).rgb
            rows[one.seed].append(picture.cpu())
            compilers.begin()
            done(count)
    return contact_sheet(list(rows.values()), [f"seed {seed}" for seed in seeds], generator.class_names)


def _film(path: Path, generator: Generator, plan: DemoPlan, reporter: Reporter) -> None:
    """Walk around one sample; the film closes to a loop."""
    [field] = make_fields(generator, [_sample(generator, plan.orbit)], plan.psi)
    cameras = orbit(plan.orbit_frames, generator.default_camera())
    frames = render_frames(field, cameras, resolution=plan.orbit_size)
    with reporter.progress("filming", plan.orbit_frames) as done, VideoWriter(path, plan.orbit_fps) as video:
        for count, frame in enumerate(frames, start=1):
            video.add(frame.rgb.cpu())
            done(count)


def _blend(generator: Generator, plan: DemoPlan, reporter: Reporter) -> Float[Tensor, "3 height width"]:
    """Go from one sample to another on a straight line between their latents."""
    ends = [_sample(generator, plan.blend_from), _sample(generator, plan.blend_to)]
    first, last = make_ws(generator, ends, plan.psi)
    pictures = []
    with reporter.progress("blending", plan.blend_steps) as done:
        for share in torch.linspace(0, 1, plan.blend_steps):
            [field] = generator.fields(torch.lerp(first, last, float(share))[None])
            pictures.append(render(field, generator.default_camera(), resolution=plan.grid_size).rgb.cpu())
            done(len(pictures))
    return contact_sheet([pictures])


def _mesh(generator: Generator, plan: DemoPlan, reporter: Reporter) -> trimesh.Trimesh:
    """Take the surface of one sample home."""
    [field] = make_fields(generator, [_sample(generator, plan.mesh)], plan.psi)
    with reporter.progress("meshing, lattice points", plan.mesh_resolution**3) as done:
        return extract_mesh(field, resolution=plan.mesh_resolution, progress=lambda now, _: done(now))


def _from_photo(path: Path, generator: Generator, plan: DemoPlan, reporter: Reporter) -> None:
    """Rebuild the toy on the package's photo, whose class and camera nobody says."""
    encoder, distance = find_helpers(generator)
    with resources.as_file(resources.files("gen3d_tools.media").joinpath(PHOTO_NAME)) as file:
        photo = load_photo(file, generator)
    with reporter.progress("from photo to thing", _TICKS) as done:
        result = pti.invert(
            generator,
            photo,
            settings=plan.inversion,
            encoder=encoder,
            distance=distance,
            progress=lambda step: done(round(_TICKS * step.share)),
        )
    path.mkdir()
    write_files(result, path, base_reference(check_base(generator)))


def _page(path: Path, places: Mapping[str, Path], plan: DemoPlan, mesh: trimesh.Trimesh) -> None:
    """Show everything in one file."""
    blend = f"From {_caption(plan.blend_from)} to {_caption(plan.blend_to)}, in even steps between their latents"
    health = mesh_health(mesh)
    closed = "watertight, " if health.watertight else ""
    mesh_caption = f"{_caption(plan.mesh).capitalize()} as a mesh ({closed}{health.faces:,} faces): {plan.mesh_name}."
    items: list[PageEntry] = [
        PageMesh(mesh=mesh, caption=mesh_caption),
        PageItem(path=places[ORBIT_NAME], caption=f"A walk around {_caption(plan.orbit)}: {ORBIT_NAME}"),
        PageItem(
            path=places[GRID_NAME], wide=True, caption=f"A column for each class, a row for each seed: {GRID_NAME}"
        ),
        PageItem(path=places[BLEND_NAME], wide=True, caption=f"{blend}: {BLEND_NAME}"),
        PageItem(
            path=places[RESULT_NAME] / OVERVIEW_NAME,
            wide=True,
            caption=f"A toy it has never seen, from one photo; class and camera were found out: {RESULT_NAME}",
        ),
    ]
    write_page(
        path,
        title="What gen3d makes",
        intro=INTRO,
        sections=[PageSection(items=items)],
        commands=NEXT_COMMANDS,
    )
