"""One HTML file that shows results anywhere: pictures, videos and meshes to turn, with nothing to load.

The page itself is `page.html`, a file to read and edit; here its `{{markers}}` are filled in.
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import count
from pathlib import Path

import trimesh

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.media.mesh_payload import mesh_payload

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
"""What can be shown, by its suffix."""

_FIRST_MESH = "mesh-1"  # whose caption says how meshes are turned


@dataclass(frozen=True, kw_only=True)
class PageItem:
    """A picture or a video to show, embedded into the page."""

    path: Path  # .png .jpg .webp .gif .mp4 .webm
    caption: str
    wide: bool = False  # over the full width: contact sheets


@dataclass(frozen=True, kw_only=True)
class PagePicture:
    """A picture that is no file, embedded into the page."""

    png: bytes
    caption: str
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """Rows of text under headings, over the full width."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class PageMesh:
    """A mesh that turns in the page, with its colours or its texture; y up, front along +z."""

    mesh: trimesh.Trimesh
    caption: str


PageEntry = PageItem | PagePicture | PageMesh | PageTable


@dataclass(frozen=True, kw_only=True, eq=False)
class PageSection:
    """What belongs together on a page, under a heading."""

    items: Sequence[PageEntry]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class NextCommand:
    """A command worth trying next."""

    purpose: str
    command: str


def write_page(
    path: str | Path,
    *,
    title: str,
    sections: Sequence[PageSection],
    intro: str = "",
    commands: Sequence[NextCommand] = (),
    overwrite: bool = False,
) -> None:
    """Write a self-contained page; it opens from disk, offline, in any browser.

    Args:
        path: The .html file.
        title: Headline and window title. All texts are plain text: markup in them is shown, not obeyed.
        sections: Pictures, videos and meshes, in order. Videos play muted, in a loop, while they are seen.
        intro: Paragraphs under the headline, separated by empty lines.
        commands: Listed at the end.
        overwrite: Whether an existing page may be replaced.

    Raises:
        InputError: An item is no picture or video, a mesh has no faces, or the page exists already.
        NotFoundError: An item's file is missing.
    """
    page = page_text(title=title, sections=sections, intro=intro, commands=commands)
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")


def page_text(
    *,
    title: str,
    sections: Sequence[PageSection],
    intro: str = "",
    commands: Sequence[NextCommand] = (),
    in_cell: bool = False,
) -> str:
    """Give the page that `write_page` writes.

    Args:
        title: See `write_page`; "" has no headline.
        sections: See `write_page`.
        intro: See `write_page`.
        commands: See `write_page`.
        in_cell: Laid out for the frame of a notebook's cell, without margins.
    """
    paragraphs = [text.strip() for text in re.split(r"\n\s*\n", intro) if text.strip()]
    names, payloads = count(1), list[str]()
    texts = {
        "title": html.escape(title),
        "body": ' class="cell"' if in_cell else "",
        "headline": f"<h1>{html.escape(title)}</h1>" if title else "",
        "intro": "\n".join(f'<p class="intro">{html.escape(text)}</p>' for text in paragraphs),
        "sections": "\n".join(_section(section, names, payloads) for section in sections),
        "commands": _command_list(commands),
        "meshes": "\n".join(payloads),
    }
    template = resources.files("gen3d_tools.media").joinpath("page.html").read_text(encoding="utf-8")
    # In one pass, so that a text which looks like a marker stays text.
    return re.sub(r"\{\{(\w+)\}\}", lambda marker: texts[marker[1]], template)


def _section(section: PageSection, names: "count[int]", payloads: list[str]) -> str:
    figures = []
    for item in section.items:
        if isinstance(item, PageMesh):
            name = f"mesh-{next(names)}"
            payload = json.dumps(mesh_payload(item.mesh))  # numbers and base64: nothing that could end the element
            payloads.append(f'<script type="application/json" id="{name}">{payload}</script>')
            figures.append(_mesh_figure(name, item.caption))
        elif isinstance(item, PageTable):
            figures.append(_table(item))
        else:
            figures.append(_figure(item))
    heading = f"<h2>{html.escape(section.title)}</h2>\n" if section.title else ""
    body = "\n".join(figures)
    return f'<section>\n{heading}<div class="grid">\n{body}\n</div>\n</section>'


def _mesh_figure(name: str, caption: str) -> str:
    caption = html.escape(caption)
    hint = "Drag to turn, click and scroll to zoom, double-click to reset; arrow keys, + and - do the same."
    hint = f' <span class="hint" hidden>{hint}</span>' if name == _FIRST_MESH else ""
    return (
        f'<figure>\n<div class="stage">\n<canvas data-mesh="{name}" tabindex="0" role="img" aria-label="{caption}">'
        "</canvas>\n<p>The mesh turns here once JavaScript and WebGL are on.</p>\n</div>\n"
        f"<figcaption>{caption}{hint}</figcaption>\n</figure>"
    )


def _table(item: PageTable) -> str:
    head = "".join(f"<th>{html.escape(one)}</th>" for one in item.headings)
    rows = ("".join(f"<td>{html.escape(one)}</td>" for one in row) for row in item.rows)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"\n<figcaption>{html.escape(item.caption)}</figcaption>" if item.caption else ""
    return (
        f'<figure class="wide table">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'
        f"{caption}\n</figure>"
    )


def _figure(item: PageItem | PagePicture) -> str:
    kind, data = ("image/png", item.png) if isinstance(item, PagePicture) else _content(item.path)
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    caption = html.escape(item.caption)
    if kind.startswith("video/"):
        media = f'<video src="{source}" aria-label="{caption}" autoplay muted loop playsinline controls></video>'
    else:
        media = f'<img src="{source}" alt="{caption}">'
    opening = '<figure class="wide">' if item.wide else "<figure>"
    return f"{opening}\n{media}\n<figcaption>{caption}</figcaption>\n</figure>"


def _content(path: Path) -> tuple[str, bytes]:
    kind = MEDIA_TYPES.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"cannot show {path} on a page; choose one of {', '.join(MEDIA_TYPES)}")
    if not path.is_file():
        raise NotFoundError(f"no file at {path} to show on the page; check the path")
    return kind, path.read_bytes()


def _command_list(commands: Sequence[NextCommand]) -> str:
    if not commands:
        return ""
    entries = "\n".join(
        f"<li><p>{html.escape(entry.purpose)}</p><pre><code>{html.escape(entry.command)}</code></pre></li>"
        for entry in commands
    )
    return f"<h2>What to try next</h2>\n<ol>\n{entries}\n</ol>"
