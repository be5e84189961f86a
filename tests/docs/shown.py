"""What README and docs/ show: commands with their output, Python, options, links. Read as text; nothing runs here."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples/shapes/README.md",
    ROOT / "weights/shapes/README.md",
    ROOT / "weights/toys/README.md",
]


@dataclass(frozen=True)
class Shown:
    """A command as it is shown, and the output shown below it."""

    arguments: tuple[str, ...]  # "gen3d" or another program first
    output: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(self.arguments)


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[Shown]:
    """Give the commands of `console` blocks, with their output, and of `sh` blocks, in the order of the page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for language, block in re.findall(r"^```(console|sh)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        if language == "sh":
            found += [Shown(tuple(split)) for line in block.splitlines() if (split := shlex.split(line, comments=True))]
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.strip().splitlines()
            found.append(Shown(tuple(shlex.split(command)), tuple(line for line in output if line.strip("."))))
    return found


def inline_code(page: Path) -> list[str]:
    """Give what stands between backticks in prose and tables."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def links(page: Path) -> list[str]:
    """Give the places in the repository that a page leads to."""
    text = page.read_text(encoding="utf-8")
    return [link for link in re.findall(r"\]\(([^)#\s]+)[)#]", text) if not link.startswith("http")]
