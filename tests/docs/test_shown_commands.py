"""Whatever README and docs/ show works: commands and Python are run with small sizes, the rest is parsed."""

import re
import shlex
import shutil
import sys

import pytest
import typer

from gen3d_tools.cli.app import app, main
from tests.docs.shown import OTHERS, PAGES, ROOT, Shown, blocks, commands, inline_code, page_name

GROUP = typer.main.get_command(app)

# Options that make a command small: they are set where a command has them, and added to it where they are "always".
SMALLER = {
    "sample": {"always": {"--size": "16"}, "shown": {"--views": "2"}},
    "video": {"always": {"--size": "16", "--seconds": "0.2"}, "shown": {}},
    "mesh": {"always": {"--resolution": "32"}, "shown": {"--texture": "64", "--faces": "800", "--points": "500"}},
    "dataset": {
        "always": {"--size": "16", "--resolution": "24", "--points": "100"},
        "shown": {"--views": "3", "--seeds": "0"},
    },
    "invert": {"always": {"--preset": "fast", "--steps": "2"}, "shown": {}},
    "bench": {"always": {"--size": "16", "--resolution": "16", "--repeat": "1", "--threads": "1"}, "shown": {}},
}
# Commands that are only parsed, and why.
PARSED_ONLY = {
    "demo": "tests/cli/test_demo.py runs it",
    "page": "tests/cli/test_page.py runs it",
    "view": "tests/viewer/test_server.py runs it",
    "convert": "tests/cli/test_convert.py runs it with pickles that come with the tests",
    r".*\.(pkl|pth)\b": "needs a published file",
    r"invert .*\.onnx": "needs a network that a person has: tests/photos/test_separation.py writes some",
    "align": "needs a photo of a face and a detector: tests/cli/test_align.py runs it",
    r".*models/ffhq": "needs published weights",
    r"video portrait": "needs published weights",
    r".*(models|runs)/mine": "needs a model that somebody has trained",
    "eval .*": "tests/cli/test_eval.py runs it with pictures, meshes and photos of its own",
    "train .*": "tests/training/test_run.py runs it with pictures of its own",
    r".*\bTripoSR\b": "needs published weights",
    r"(video|mesh) mug\b": "needs what published weights make",
    "invert .*--resume": "needs an interrupted run: tests/cli/test_invert.py",
    "dataset .* --class all": "makes thousands of objects",
    "mesh .*--format npz,mrc": "needs an optional package",
    ".* --ray ": "needs a cluster: tests/batch/test_ray_engine.py makes one",
    ".* s3://": "needs a bucket: tests/batch/test_store.py has a server",
    ".* --workers ": "tests/cli/test_workers.py runs it in processes of its own",
}
# Numbers in Python that make it small.
SMALLER_PYTHON = {
    r"orbit\(\d+,": "orbit(2,",
    r"resolution=\d+": "resolution=32",
    r"faces=20_000": "faces=800",
    r"20_000": "500",
    r", 1024\)": ", 64)",
    r"settings=\"fast\"": "settings=g3.InversionSettings().changed(steps1=1, steps2=1, search_starts=1, search_keep=1, "
    "search_steps=1, search_keep_steps=1, resolution=16)",
}


def gen3d_commands(page) -> list[Shown]:
    return [shown for shown in commands(page) if shown.arguments[0] == "gen3d"]


def parse(arguments: list[str]) -> None:
    """Parse a command line as `gen3d` does, without running it."""
    name, *rest = arguments
    assert name in GROUP.commands, f"there is no command {name}"
    GROUP.commands[name].make_context(name, list(rest))


def only_parsed(shown: Shown) -> bool:
    return any(re.match(pattern, shlex.join(shown.arguments[1:])) for pattern in PARSED_ONLY)


def small(arguments: list[str]) -> list[str]:
    """Give the same command with small sizes."""
    name, *rest = arguments
    changes = SMALLER.get(name, {"always": {}, "shown": {}})
    for option, value in changes["always"].items():
        if option not in rest:
            rest += [option, value]
    for option, value in {**changes["always"], **changes["shown"]}.items():
        if option in rest:
            rest[rest.index(option) + 1] = value
    return [name, *rest]


def skeleton(line: str) -> str:
    """Give what of a line of output depends on neither sizes nor the machine."""
    return re.sub(r"[\d.,]*\d", "#", " ".join(line.split(" (")[0].split()))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what the pages take for granted: photos, a camera path, class names."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "front.jpg", "left.jpg", "back.jpg"):
        shutil.copy(ROOT / "examples/photos/mug.jpg", name)
    return tmp_path


@pytest.fixture
def gen3d(monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", "1")

    def run(arguments: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gen3d", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    return run


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=page_name)
def test_shown_commands_parse(page):
    for shown in gen3d_commands(page):
        parse(list(shown.arguments[1:]))


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=page_name)
def test_commands_and_options_in_prose_exist(page):
    options = {option for command in GROUP.commands.values() for one in command.params for option in one.opts}
    options |= {"--help", "--version"}
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "examples/shapes").glob("*.py"))
    for code in inline_code(page):
        words = shlex.split(code.replace("'", "")) if code.startswith(("gen3d ", "-")) else []
        if words and words[0] == "gen3d":
            name, *rest = words[1:]
            assert name in GROUP.commands, code
            known = {option for one in GROUP.commands[name].params for option in one.opts} | {"-h", "--help"}
            assert {word for word in rest if word.startswith("-")} <= known, code
        for word in (word for word in words if re.fullmatch(r"--[a-z-]+", word)):
            assert word in options or f'"{word}"' in scripts, f"{word} in {page_name(page)} is no option"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=page_name)
def test_other_programs_are_given_files_and_targets_that_exist(page):
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for shown in commands(page):
        program, *rest = shown.arguments
        if program == "make":
            assert {word for word in rest if "=" not in word} <= set(targets), shown
        elif program.endswith("python"):
            for path in (word for word in rest if re.match(r"(examples|tests)/", word)):
                assert (ROOT / path).exists(), shown
            script = ROOT / rest[0]
            if script.is_file():
                text = script.read_text(encoding="utf-8")
                assert all(f'"{word}"' in text for word in rest[1:] if word.startswith("-")), shown
        elif program == "torchrun":  # starts our command in every process
            parse(rest[rest.index("gen3d") + 1 :])
        else:
            assert program in ("gen3d", "pip", "git", "ray"), shown


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if gen3d_commands(page)], ids=page_name)
def test_shown_commands_do_what_is_shown(page, folder, gen3d, few_pixels):
    if any("path.json" in shown.arguments for shown in gen3d_commands(page)):
        run_python(ROOT / "docs/conventions.md")  # writes it
    for shown in gen3d_commands(page):
        if only_parsed(shown):
            continue
        arguments = small(list(shown.arguments[1:]))
        code, told = gen3d(arguments)
        assert code == 0, f"{shown}: {told}"
        lines = {skeleton(line) for line in told.splitlines()}
        assert {skeleton(line) for line in shown.output} <= lines, f"{shown} says {told}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=page_name)
def test_shown_python_runs(page, folder, few_pixels):
    run_python(page)


def test_sketches_in_python_are_python():
    for page in [*PAGES, *OTHERS]:
        for block in blocks(page, "py"):
            compile(block, page_name(page), "exec")


def run_python(page) -> None:
    """Run the Python of a page from top to bottom, in one namespace."""
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page, "python"):
        for pattern, smaller in SMALLER_PYTHON.items():
            block = re.sub(pattern, smaller, block)
        exec(compile(block, page_name(page), "exec"), names)
