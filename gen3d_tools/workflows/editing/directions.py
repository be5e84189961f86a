"""`gen3d directions --find`: ways through a model's latent space, found and kept, with a sheet of what each does."""

import re
import shlex
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.checkpoints.directions import DIRECTIONS_NAME, NAME_FORM
from gen3d_tools.editing.directions import Direction, Directions, check_directions_path, load_directions
from gen3d_tools.editing.finding import GroupMethod, Method, direction_between, find_directions
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import distinct_names, parse_classes, parse_seeds
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.media.images import write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.rendering.renderer import render
from gen3d_tools.wording import option
from gen3d_tools.workflows.editing.known import parse_layers
from gen3d_tools.workflows.running.claims import claim, claim_addition
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions

SHEET_NAME = "directions.png"
AMOUNTS = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Standard deviations, one column of the sheet each."""

_PICTURE = 112  # pixels
_MAX_ROWS = 20  # of the sheet
AnyMethod = Literal["sefa", "pca", "difference", "svm"]


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for, as typed."""

    method: str | None = None  # "sefa" or "pca"; with groups "difference" or "svm"
    layers: str | None = None  # rows of ws, "0-5"; None = all
    count: int = 10
    classes: str | None = None
    positive: str | None = None  # seeds that have it
    negative: str | None = None  # seeds that have it not
    name: str = "mine"

    @property
    def by_groups(self) -> bool:
        """Whether two groups of seeds say what is looked for."""
        return self.positive is not None or self.negative is not None

    @property
    def settled(self) -> AnyMethod:
        """The method that is meant.

        Raises:
            InputError: There is none of that name, or it does not fit the rest.
        """
        fitting = get_args(GroupMethod) if self.by_groups else get_args(Method)
        method = (self.method or fitting[0]).lower()
        if method not in fitting:
            groups = f" with {option('positive')} and {option('negative')}" if self.by_groups else ""
            raise InputError(f"method is {method[:20]!r}; it must be {' or '.join(fitting)}{groups}")
        return cast(AnyMethod, method)

    def check(self) -> None:
        """Refuse what says nothing of the search that is meant.

        Raises:
            InputError: There is such a thing, or no such method.
        """
        groups, method = f"{option('positive')} and {option('negative')}", self.settled
        if not self.by_groups and self.name != Search.name:
            raise InputError(
                f"name is {self.name[:40]!r}, but what {method} finds is numbered: {method}-1, ...; leave "
                f"{option('name')} out, or give two groups of seeds: {groups}"
            )
        if self.by_groups and not re.fullmatch(NAME_FORM, self.name):
            raise InputError(
                f"name is {self.name[:40]!r}; a direction has a name of at most 64 letters, digits, - and _, a letter "
                f"first; choose another: {option('name')}"
            )
        if self.by_groups and self.count != Search.count:
            raise InputError(
                f"count is {self.count}, but two groups differ in one direction; leave {option('count')} out, or leave "
                f"out {groups}"
            )

    def first_class(self, generator: Generator) -> int | None:
        """The class that pictures show; None where none is named.

        Raises:
            InputError: There is no such class.
        """
        return None if self.classes is None else parse_classes(self.classes, generator.class_names)[0]

    def run(self, generator: Generator) -> Directions:
        """Look for them.

        Raises:
            InputError: An option has a value that it cannot have.
        """
        layers, names = parse_layers(self.layers), generator.class_names
        classes = None if self.classes is None else parse_classes(self.classes, names)
        method = self.settled
        if not self.by_groups:
            return find_directions(generator, cast(Method, method), layers=layers, count=self.count, classes=classes)
        if self.positive is None or self.negative is None:
            raise InputError(f"one group of seeds is missing; give {option('positive')} and {option('negative')}")
        if classes is not None and len(classes) != 1:
            raise InputError(f"got {len(classes)} classes; both groups are of one class, or of those that seeds draw")
        return direction_between(
            generator,
            parse_seeds(self.positive),
            parse_seeds(self.negative),
            name=self.name,
            method=cast(GroupMethod, method),
            class_name=None if classes is None else classes[0],
            layers=layers,
        )


def find(
    model: str,
    search: Search | None = None,
    *,
    add: bool = False,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Look for directions and write them to a file; in a folder, beside a sheet of pictures that shows what each does.

    Args:
        model: Whatever `load_generator` takes.
        search: What is looked for.
        add: Keep what an existing file of this model holds, but for directions of the same name.
        options: Where the file goes (a .safetensors file, or a folder), and on which device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    search, options, reporter = search or Search(), options or RunOptions(), reporter or Reporter()
    search.check()
    method = search.settled
    if add and options.overwrite:
        added, replaced = option("add", True), option("overwrite", True)
        raise InputError(f"{added} keeps what the file holds, {replaced} replaces it; leave one of them out")
    if add and options.out is None:
        raise InputError(f"a new folder holds nothing to add to; name the file: {option('out')}")
    target = options.target("directions", model, [search.name if search.by_groups else method])
    if options.file is not None:
        check_directions_path(target)
    file = target if options.file is not None else target / DIRECTIONS_NAME
    sheet = None if options.file is not None else target / SHEET_NAME
    generator = load_generator(model, device=options.device, base=options.base)
    run = Run("directions", model, vars(search) | {"method": method}, dry_run=options.dry_run, reporter=reporter)
    before = load_directions(file, generator) if add and file.is_file() else None
    files = [file, *([] if sheet is None else [sheet])]
    if before is not None:
        claim_addition(run, files, target)
    else:
        claim(run, files, target, options)
    found = search.run(generator)
    if options.dry_run:
        run.add(file, f"{len(found)} directions by {method}")
        return run
    with run.recording():
        whole = found if before is None else before.joined(found)
        whole.save(file, overwrite=options.overwrite or before is not None)
        run.add(file, f"{', '.join(found.names[:4])}{', ...' if len(found.names) > 4 else ''}: {len(whole)} in all")
        if sheet is not None:
            picture = _sheet(generator, found, search.first_class(generator), reporter)
            write_image(sheet, picture, overwrite=options.overwrite or before is not None)
            run.add(sheet, f"what each does, {AMOUNTS[0]:g} to {AMOUNTS[-1]:g} standard deviations")
    if not len(found):
        return run.finish()
    known = f" --directions {shlex.quote(str(file))} --direction {found[0].name}=2"
    return run.finish(next_command=f"gen3d edit {options.after(model)}{_class_option(found[0], generator)}{known}")


def _class_option(found: Direction, generator: Generator) -> str:
    """What to type after the model so that a direction is one of the sample's; nothing for one of all classes."""
    if found.class_index is None:
        return ""
    return f" --class {shlex.quote(distinct_names(generator.class_names)[found.class_index])}"


def _sheet(
    generator: Generator, found: Directions, class_index: int | None, reporter: Reporter
) -> Float[Tensor, "3 height width"]:
    """Draw what each direction does to seed 0 of a class: a row each, amounts from left to right."""
    shown, rows = found.entries[:_MAX_ROWS], list[list[Tensor]]()
    with reporter.progress("drawing", len(shown) * len(AMOUNTS)) as done:
        for one in shown:
            index = class_index if one.class_index is None else one.class_index
            classes = None if index is None else [index]
            ws = generator.latents([0], classes)
            row = []
            for amount in AMOUNTS:
                [field] = generator.fields(one.apply(ws, amount))
                row.append(_picture(generator, field))
                done(len(rows) * len(AMOUNTS) + len(row))
            rows.append(row)
    return contact_sheet(rows, [one.name for one in shown], [f"{amount:+g}" if amount else "0" for amount in AMOUNTS])


def _picture(generator: Generator, field: Any) -> Tensor:
    rgb = render(field, generator.default_camera(), resolution=_PICTURE).rgb.cpu()
    if rgb.shape[-1] == _PICTURE:
        return rgb
    return torch.nn.functional.interpolate(rgb[None], (_PICTURE, _PICTURE), mode="bilinear", antialias=True)[0]
