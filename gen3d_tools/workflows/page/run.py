"""`gen3d page`: models, results, meshes, pictures and films in one HTML file that opens anywhere, offline."""

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.color.texture import check_texture_size
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.geometry.mesh import mesh_health
from gen3d_tools.media.images import write_image
from gen3d_tools.media.page import NextCommand, PageEntry, PageItem, PageMesh, PageSection, write_page
from gen3d_tools.wording import option
from gen3d_tools.workflows.page.figures import FigureSizes, display_mesh, figure_mesh, film, picture
from gen3d_tools.workflows.page.subjects import Subject, parse_subjects
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import Sample, SampleSelection, choose_samples, make_fields
from gen3d_tools.workflows.samples.sheets import samples_sheet

PAGE_NAME = "gallery.html"
LARGE_BYTES = 25_000_000
"""From here on a page is slow to open on a phone, and too much for most mail."""

MAX_FIGURED = 12
"""Samples of one model that are filmed and meshed; a sheet shows more."""

_SHEET_CLASSES, _SHEET_SEEDS, _SHEET_PLAIN = 12, "0-2", "0-11"
_OVERVIEW = "overview.png"


@dataclass(frozen=True)
class _Shown:
    """One subject with what was loaded of it."""

    subject: Subject
    generator: Generator | None = None
    samples: Sequence[Sample] = ()


def page(
    names: Sequence[str],
    *,
    choice: SampleSelection | None = None,
    title: str | None = None,
    sizes: FigureSizes | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Show things on one page: of a model a sheet, of each sample and result a turntable and a mesh that turns.

    Args:
        names: Whatever `load_generator` takes; mesh files; pictures and films.
        choice: Which samples of models are filmed and meshed.
        title: Headline; the names by default.
        sizes: How large the parts are.
        options: The .html file, or a folder that gets a gallery.html; the device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, sizes, options = choice or SampleSelection(), sizes or FigureSizes(), options or RunOptions()
    reporter, subjects = reporter or Reporter(), parse_subjects(names)
    _check_used(subjects, choice, sizes, options)
    if sizes.texture:
        check_texture_size(sizes.texture)
    target = options.target("page", subjects[0].name)
    if options.file is not None and target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target.name} is no page; name it .html, or give a folder for {PAGE_NAME}")
    path = target if options.file is not None else target / PAGE_NAME
    shown = [_load(one, choice, options) for one in subjects]
    models = [one.subject.name for one in shown if one.generator is not None]
    run = Run("page", models[0] if len(models) == 1 else "", {}, dry_run=options.dry_run, reporter=reporter)
    run.options |= {"names": [one.title for one in subjects], "title": title, **asdict(sizes), **vars(choice)}
    claim(run, [path], target, options, reads=[one.name for one in subjects])
    if options.dry_run:
        run.add(path, f"{len(subjects)} things on one page")
        return run
    with tempfile.TemporaryDirectory() as folder:
        sections = [_section(one, choice, sizes, Path(folder) / str(i), reporter) for i, one in enumerate(shown)]
        if len(sections) == 1:  # the headline says it
            sections = [replace(sections[0], title="")]
        headline = title or ", ".join(dict.fromkeys(one.title for one in subjects))
        with run.recording():  # of the page alone: what it is made of lies elsewhere, for a while
            write_page(
                path,
                title=headline,
                sections=sections,
                commands=_commands(shown, choice.psi, options),
                overwrite=options.replaces,
            )
            size = path.stat().st_size
            run.add(path, f"{size / 1e6:.1f} MB, opens offline")
    if size > LARGE_BYTES:
        smaller = "fewer things make it smaller"
        if any(one.samples for one in shown):
            smaller = f"fewer things, {option('texture', 256)} or {option('faces', 5000)} make it smaller"
        reporter.say(f"{path} is large ({size / 1e6:.0f} MB), slow to open on a phone; {smaller}")
    return run.finish(next_command=f"open {shlex.quote(str(path))} in a browser")


def _check_used(subjects: Sequence[Subject], choice: SampleSelection, sizes: FigureSizes, options: RunOptions) -> None:
    """Refuse what is said of models where none is shown, and of results.

    Raises:
        InputError: There is such a thing.
    """
    kinds = {one.kind for one in subjects}
    if options.base is not None and "result" not in kinds:
        raise InputError(f"a base is that of an inversion result, and none is named; leave {option('base')} out")
    if kinds & {"model", "result"}:
        return
    of_samples = {
        option("seeds"): choice.seeds is not None,
        option("classes", typed="--class"): choice.classes is not None,
        option("psi"): choice.psi != SampleSelection.psi,
        option("film", typed="--size"): sizes.film != FigureSizes.film,
        option("faces"): sizes.faces != FigureSizes.faces,
        option("texture"): sizes.texture != FigureSizes.texture,
        option("device"): options.device != RunOptions.device,
    }
    if unused := [name for name, is_said in of_samples.items() if is_said]:
        raise InputError(
            f"{', '.join(unused)}: that is for models and results, and files are shown as they are; leave it out, or "
            "name a model"
        )


def _load(subject: Subject, choice: SampleSelection, options: RunOptions) -> _Shown:
    """Load a model or result and settle its samples; files are read when they are shown.

    Raises:
        InputError: There are too many samples to film and mesh.
    """
    if subject.kind in ("mesh", "media"):
        return _Shown(subject)
    base = options.base if subject.kind == "result" else None
    generator = load_generator(subject.name, device=options.device, base=base)
    samples = list(dict.fromkeys(choice.samples(generator)))
    if len(samples) > MAX_FIGURED:
        raise InputError(
            f"{len(samples)} samples of {subject.title} are too many to film and mesh; choose {MAX_FIGURED} at most, "
            "or give a sheet that gen3d sample made"
        )
    return _Shown(subject, generator, samples)


def _section(one: _Shown, choice: SampleSelection, sizes: FigureSizes, folder: Path, reporter: Reporter) -> PageSection:
    """Make everything that is shown of one subject; files in `folder` live as long as it takes to write the page."""
    folder.mkdir()
    subject = one.subject
    if subject.kind == "media":
        return PageSection(title=subject.title, items=[PageItem(path=Path(subject.name), caption=subject.title)])
    if subject.kind == "mesh":
        mesh, note = display_mesh(read_mesh(subject.name))
        if note:
            reporter.say(f"{subject.name}: {note}")
        faces = note or f"{len(mesh.faces):,} faces"
        return PageSection(title=subject.title, items=[PageMesh(mesh=mesh, caption=f"{subject.title}: {faces}")])
    generator, items = one.generator, list[PageEntry]()
    assert generator is not None, "models and results are loaded"
    overview = Path(subject.name) / _OVERVIEW
    if generator.pivot is not None and overview.is_file():
        items.append(PageItem(path=overview, caption="How it came about", wide=True))
    if generator.pivot is None:
        items.append(_sheet(generator, choice.psi, sizes, folder / "sheet.png", reporter))
    fields = (make_fields(generator, [sample], choice.psi)[0] for sample in one.samples)
    for index, (sample, field) in enumerate(zip(one.samples, fields, strict=True)):
        items += _figures(sample, field, generator, sizes, folder / f"{index}.mp4", reporter)
    return PageSection(title=subject.title, items=items)


def _figures(
    sample: Sample, field: RadianceField, generator: Generator, sizes: FigureSizes, path: Path, reporter: Reporter
) -> list[PageEntry]:
    """Film an object, and take its surface."""
    reporter.say(f"{sample.label}: a film and a mesh")
    film(path, field, generator, sizes, reporter)
    mesh = figure_mesh(field, sizes, reporter)
    label, closed = sample.label[:1].upper() + sample.label[1:], mesh_health(mesh).watertight
    kind = "closed mesh" if closed else "mesh"
    return [
        PageItem(path=path, caption=f"{label}, as the network draws it"),
        PageMesh(mesh=mesh, caption=f"{label} as a {kind} of {len(mesh.faces):,} faces"),
    ]


def _sheet(generator: Generator, psi: float, sizes: FigureSizes, path: Path, reporter: Reporter) -> PageItem:
    """Draw what a model makes: a row per class, or one sheet of seeds."""
    names = generator.class_names
    classes = ",".join(str(index) for index in range(min(len(names), _SHEET_CLASSES))) or None
    seeds = _SHEET_SEEDS if names else _SHEET_PLAIN
    samples, pictures = choose_samples(generator, seeds, classes), []
    with reporter.progress("drawing", len(samples)) as done:
        for sample in samples:
            pictures.append([picture(make_fields(generator, [sample], psi)[0], generator, sizes.picture)])
            done(len(pictures))
    write_image(path, samples_sheet(samples, pictures, ["rgb"]))
    caption = "A row for each class, a column for each seed" if names else "Seeds"
    if len(names) > _SHEET_CLASSES:
        caption += f"; the first {_SHEET_CLASSES} of {len(names):,} classes"
    return PageItem(path=path, caption=caption, wide=True)


def _commands(shown: Sequence[_Shown], psi: float, options: RunOptions) -> list[NextCommand]:
    """Say how to take home what is shown."""
    commands = []
    for one in shown:
        for sample in one.samples[:2]:
            model = options.after(one.subject.name)
            command = f"gen3d mesh {model}{sample.options_at(psi)} --texture 1024 -o {sample.stem}.glb"
            commands.append(NextCommand(purpose=f"Take {sample.label} home as a mesh", command=command))
    return commands[:4]
