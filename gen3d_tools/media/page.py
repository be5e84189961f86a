"""One HTML file that shows a result anywhere: pictures, videos and a mesh to turn, with nothing to load.

The page itself is `demo_page.html`, a file to read and edit; here its `{{markers}}` are filled in.
"""

import base64
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.visual import ColorVisuals

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
_STEPS = 65535  # positions are 16-bit: finer than a pixel at any zoom of the viewer


@dataclass(frozen=True, kw_only=True)
class PageItem:
    """A picture or a video to show, embedded into the page."""

    path: Path  # .png .jpg .webp .gif .mp4 .webm
    caption: str
    wide: bool = False  # over the full width: contact sheets


@dataclass(frozen=True, kw_only=True)
class NextCommand:
    """A command worth trying next."""

    purpose: str
    command: str


def write_demo_page(
    path: str | Path,
    *,
    title: str,
    intro: str,
    items: Sequence[PageItem],
    mesh: trimesh.Trimesh,
    mesh_caption: str,
    commands: Sequence[NextCommand] = (),
    overwrite: bool = False,
) -> None:
    """Write a self-contained page; it opens from disk, offline, in any browser.

    Args:
        path: The .html file.
        title: Headline and window title. All texts are plain text: markup in them is shown, not obeyed.
        intro: Paragraphs under the headline, separated by empty lines.
        items: Pictures and videos, in order. Videos start by themselves, muted, in a loop.
        mesh: Turns in the page with its vertex colours; y up, front along +z.
        mesh_caption: What the mesh is.
        commands: Listed at the end.
        overwrite: Whether an existing page may be replaced.

    Raises:
        InputError: An item is no picture or video, the mesh has no faces, or the page exists already.
        NotFoundError: An item's file is missing.
    """
    paragraphs = [text.strip() for text in re.split(r"\n\s*\n", intro) if text.strip()]
    texts = {
        "title": html.escape(title),
        "intro": "\n".join(f'<p class="intro">{html.escape(text)}</p>' for text in paragraphs),
        "items": "\n".join(_figure(item) for item in items),
        "mesh_caption": html.escape(mesh_caption),
        "commands": _command_list(commands),
        "mesh": json.dumps(mesh_payload(mesh)),  # numbers and base64: nothing that could end the script element
    }
    template = resources.files("gen3d_tools.media").joinpath("demo_page.html").read_text(encoding="utf-8")
    # In one pass, so that a text which looks like a marker stays text.
    page = re.sub(r"\{\{(\w+)\}\}", lambda marker: texts[marker[1]], template)
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")


def mesh_payload(mesh: trimesh.Trimesh) -> dict[str, Any]:
    """The mesh in few bytes, as the page's viewer reads it.

    Returns:
        `positions` (uint16), `normals` (int8, 127 = 1), `colors` (uint8) of each vertex and `faces` (uint32),
        as base64 of little-endian arrays `[n, 3]`. `origin + scale * positions` has the centre of
        its bounding box at 0 and its farthest vertex at distance 1.
    """
    if len(mesh.faces) == 0:
        raise InputError("the mesh for the page has no faces; lower the iso-level or raise the resolution")
    if not isinstance(mesh.visual, ColorVisuals):
        raise InputError("the mesh for the page has a texture or nothing; give one with vertex colours")
    vertices = np.asarray(mesh.vertices, np.float64)
    lowest, extent = vertices.min(axis=0), np.ptp(vertices, axis=0)
    side, radius = extent.max(), np.linalg.norm(vertices - lowest - extent / 2, axis=1).max()
    return {
        "origin": [float(value) for value in -extent / 2 / radius],
        "scale": float(side / radius / _STEPS),
        "positions": _base64(np.round((vertices - lowest) / side * _STEPS), "<u2"),
        "normals": _base64(np.round(np.asarray(mesh.vertex_normals) * 127), "i1"),
        "colors": _base64(np.asarray(mesh.visual.vertex_colors)[:, :3], "u1"),
        "faces": _base64(np.asarray(mesh.faces), "<u4"),
    }


def _figure(item: PageItem) -> str:
    kind = _MEDIA_TYPES.get(item.path.suffix.lower())
    if kind is None:
        raise InputError(f"cannot show {item.path} on a page; choose one of {', '.join(_MEDIA_TYPES)}")
    if not item.path.is_file():
        raise NotFoundError(f"no file at {item.path} to show on the page; check the path")
    source = f"data:{kind};base64,{base64.b64encode(item.path.read_bytes()).decode()}"
    caption = html.escape(item.caption)
    if kind.startswith("video/"):
        media = f'<video src="{source}" aria-label="{caption}" autoplay muted loop playsinline controls></video>'
    else:
        media = f'<img src="{source}" alt="{caption}">'
    opening = '<figure class="wide">' if item.wide else "<figure>"
    return f"{opening}\n{media}\n<figcaption>{caption}</figcaption>\n</figure>"


def _command_list(commands: Sequence[NextCommand]) -> str:
    if not commands:
        return ""
    entries = "\n".join(
        f"<li><p>{html.escape(entry.purpose)}</p><pre><code>{html.escape(entry.command)}</code></pre></li>"
        for entry in commands
    )
    return f"<h2>What to try next</h2>\n<ol>\n{entries}\n</ol>"


def _base64(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode()
