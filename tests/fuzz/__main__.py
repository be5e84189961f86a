"""Fuzz every format that is read: `python -m tests.fuzz 600` goes on for 600 seconds.

`--cases N` reads the first N cases of each format instead; `--only photo,mask` chooses formats, `--seed` another
series of cases, `--json` prints one JSON object. A case that is not clean is kept in gen3d-out/fuzz and its line says
how to make it again; the exit code is then 1.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

from tests.fuzz.harness import Cases, Format, Report, run

CHUNK = 500  # cases read before the next format's turn
SHOWN = 20  # unclean cases of each format that are told and kept
KEPT = Path("gen3d-out/fuzz")


def formats(package: str = "tests.fuzz.formats") -> dict[str, Format]:
    """Every format of every module in a package; or of one module."""
    found = importlib.import_module(package)
    folders = [*getattr(found, "__path__", [])][:1]  # of this checkout, whatever other one is installed
    inside = pkgutil.iter_modules(folders, f"{package}.")
    modules = [importlib.import_module(module.name) for module in inside] or [found]
    return {form.name: form for module in modules for form in module.FORMATS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=float, help="how long to go on")
    parser.add_argument("--cases", type=int, help="read the first so many cases of each format instead")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="formats, separated by commas")
    parser.add_argument("--formats", default="tests.fuzz.formats", help="module or package with the formats")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if (options.seconds is None) == (options.cases is None):
        parser.error("say how many SECONDS to go on, or how many --cases of each format to read")
    import torch

    torch.set_num_threads(1)  # a forked process has no other threads
    chosen = formats(options.formats)
    if options.only:
        chosen = {name: chosen[name] for name in options.only.split(",")}
    started, reports = time.monotonic(), {}
    cases = {name: Cases(form, options.seed) for name, form in chosen.items()}
    if options.cases is not None:
        numbers = range(options.first, options.first + options.cases)
        reports = {name: run(these, numbers) for name, these in cases.items()}
    else:
        turn = options.first
        while time.monotonic() - started < options.seconds:
            for these in cases.values():
                merge(reports, run(these, range(turn, turn + CHUNK)))
                if time.monotonic() - started >= options.seconds:
                    break
            turn += CHUNK
    tell(reports, cases, time.monotonic() - started, as_json=options.json)
    sys.exit(any(report.unclean for report in reports.values()))


def merge(reports: dict[str, Report], new: Report) -> None:
    """Add what a turn found to what the earlier ones did."""
    old = reports.setdefault(new.name, new)
    if old is not new:
        old.outcomes += new.outcomes
        old.kinds += new.kinds
        old.unclean += new.unclean
        old.slowest, old.largest = max(old.slowest, new.slowest), max(old.largest, new.largest)


def tell(reports: dict[str, Report], cases: dict[str, Cases], seconds: float, *, as_json: bool) -> None:
    """Print what was found, and keep the cases that are not clean."""
    write = sys.stdout.write
    if as_json:
        write(json.dumps({name: report.record() for name, report in reports.items()}) + "\n")
        return
    for name, report in reports.items():
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.most_common())
        largest = f"{report.largest[0] >> 20} MiB"
        write(f"{name}: {report.cases} cases ({outcomes}); slowest {report.slowest[0]:.2f} s, largest {largest}\n")
        for case in report.unclean[:SHOWN]:
            write(f"  {case['number']} ({case['kind']}): {case['what']}\n")
            seed = cases[name].seed
            write(f"    again: python -m tests.fuzz --cases 1 --first {case['number']} --seed {seed} --only {name}\n")
            folder = KEPT / f"{name}-{seed}-{case['number']}"
            for file, data in cases[name][case["number"]][1].items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(data)
    total = sum(report.cases for report in reports.values())
    bad = sum(len(report.unclean) for report in reports.values())
    write(f"{total} cases in {seconds:.0f} s, {bad} not clean{f'; kept in {KEPT}' if bad else ''}\n")


if __name__ == "__main__":
    main()
