"""Where measures go: a table for the terminal, the record of the run, and a folder with a page and the numbers."""

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from gen3d_tools.errors import InputError
from gen3d_tools.files import atomic_files
from gen3d_tools.wording import option
from gen3d_tools.workflows.evaluate.distribution.cache import FOLDER
from gen3d_tools.workflows.evaluate.measures import Group
from gen3d_tools.workflows.evaluate.page import PAGE_NAME, check_matplotlib, write_report
from gen3d_tools.workflows.running.claims import claim
from gen3d_tools.workflows.running.places import output_path
from gen3d_tools.workflows.running.runs import Run, RunOptions

NUMBERS_NAME = "measures.json"


def claim_report(run: Run, options: RunOptions, *, more: Sequence[str] = ()) -> list[Path]:
    """Check where the page and the numbers will go, before any work.

    Args:
        run: What is measured.
        options: Where the report goes.
        more: Names of further files.

    Returns:
        The page, the numbers and the further files; empty without an output.

    Raises:
        InputError: Something is in the way, or a file is named that is no folder.
        MissingDependencyError: The page's plots need matplotlib.
    """
    target = output_path(options.out)
    if target is None:
        return []
    if options.file is not None:
        raise InputError(f"{target} looks like a file, but a report is a folder; try -o {target.with_suffix('')}")
    check_matplotlib()
    paths = [target / name for name in (PAGE_NAME, NUMBERS_NAME, *more)]
    claim(run, paths, target, options, apart=False)
    return paths


def finish_report(
    run: Run, title: str, groups: Sequence[Group], paths: Sequence[Path], *, texts: dict[str, str] | None = None
) -> Run:
    """Put the measures into the run, and write the page and the numbers if they are wanted.

    Args:
        run: What is measured.
        title: Headline of the page.
        groups: The measures.
        paths: What `claim_report` gave.
        texts: Contents of the further files.
    """
    if run.dry_run:
        for path in paths:
            run.add(path, "measures")
        return run.finish()
    for group in groups:
        run.details[group.name] = group.record()
        if bias := group.facts.get("bias"):
            run.reporter.say(f"warning: {bias}")
    run.summary = summary(groups)
    if not paths:
        return run.finish()
    page, numbers, *further = paths
    with run.recording():
        with atomic_files(paths, overwrite=True) as [new_page, new_numbers, *new_further]:
            write_report(new_page, title, groups)
            new_numbers.write_text(json.dumps(run.details, indent=1) + "\n", encoding="utf-8")
            for path in new_further:
                path.write_text((texts or {})[path.name], encoding="utf-8")
        run.add(page, "the measures with plots, opens offline")
        run.add(numbers, "the same as JSON")
        for path in further:
            run.add(path, "the table")
    return run.finish(next_command=f"open {shlex.quote(str(page))} in a browser")


def summary(groups: Sequence[Group]) -> list[dict[str, str]]:
    """Rows of the table on the terminal."""
    arrows = {"lower": "lower is better", "higher": "higher is better", "": ""}
    return [
        {
            "measure": one.name,
            "value": one.text,
            "": arrows[one.better],
            "note": one.note,
        }
        for group in groups
        for one in group.measures
    ]


def cache_folder(cache: Path | None, options: RunOptions) -> Path | None:
    """Give the folder that is named, or one beside the output; None where there is neither.

    Raises:
        InputError: What is named is no folder that takes files, nor can be made one.
    """
    target = output_path(options.out)
    if cache is not None:
        _check_cache(cache)
    return cache or (None if target is None else target.parent / FOLDER)


def _check_cache(cache: Path) -> None:
    """Refuse a place where no features can be kept, before any are computed.

    Raises:
        InputError: It is one.
    """
    place = cache
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        found = f"{place} is no folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        found = f"{place} is not writable"
    else:
        return
    raise InputError(f"features cannot be kept in {cache}: {found}; give another folder with {option('cache')}")
