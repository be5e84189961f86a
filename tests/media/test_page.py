import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.media.images import write_image
from gen3d_tools.media.mesh_payload import mesh_payload
from gen3d_tools.media.page import NextCommand, PageItem, PageMesh, PageSection, write_page
from gen3d_tools.media.video import VideoWriter


class Outline(HTMLParser):
    """The elements of a page and the text in each kind of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        self.text[self._open] = self.text.get(self._open, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def coloured_ball(subdivisions: int = 3) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.4)
    ball.visual.vertex_colors = np.round((ball.vertex_normals + 1) / 2 * 255).astype(np.uint8)
    ball.apply_scale([1.0, 2.0, 0.5])
    ball.apply_translation([3.0, -1.0, 0.2])
    return ball


def media(folder: Path) -> list[PageItem]:
    write_image(folder / "sheet.png", torch.rand(3, 20, 30))
    with VideoWriter(folder / "orbit.mp4", fps=10) as video:
        video.add(torch.rand(3, 32, 32))
    return [
        PageItem(path=folder / "orbit.mp4", caption="An orbit"),
        PageItem(path=folder / "sheet.png", caption="A sheet", wide=True),
    ]


def write(path: Path, *, items=(), mesh=None, mesh_caption="A ball", heading="", **changes: object) -> str:
    turning = PageMesh(mesh=coloured_ball(1) if mesh is None else mesh, caption=mesh_caption)
    options = {"title": "A demo", "intro": "Hello.", "sections": [PageSection(items=[turning, *items], title=heading)]}
    write_page(path, **{**options, **changes})
    return path.read_text(encoding="utf-8")


def array(payload: dict[str, object], name: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(str(payload[name])), dtype).reshape(-1, 3)


def embedded_mesh(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="mesh-1">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_nothing_is_loaded_from_anywhere(tmp_path):
    page = write(tmp_path / "a.html", items=media(tmp_path))
    assert not re.search(r"https?://|//cdn|@import|url\(", page)
    outline = Outline(page)
    sources = [attributes.get("src") or attributes.get("href") for _, attributes in outline.elements]
    assert {source.partition(",")[0] for source in sources if source} == {
        "data:",
        "data:video/mp4;base64",
        "data:image/png;base64",
    }
    policy = next(meta["content"] for meta in outline.all("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_media_are_embedded_byte_for_byte(tmp_path):
    outline = Outline(write(tmp_path / "a.html", items=media(tmp_path)))
    (picture,) = outline.all("img")
    (video,) = outline.all("video")
    assert base64.b64decode(picture["src"].partition(",")[2]) == (tmp_path / "sheet.png").read_bytes()
    assert base64.b64decode(video["src"].partition(",")[2]) == (tmp_path / "orbit.mp4").read_bytes()
    assert {"autoplay", "muted", "loop", "playsinline"} <= set(video)
    assert [figure.get("class") for figure in outline.all("figure")] == [None, None, "wide"]


def test_markup_in_texts_is_shown_and_not_obeyed(tmp_path):
    evil = "</title></script><script>alert('x')</script>\"' onload=\"y &amp; {{mesh}}"
    plain = Outline(
        write(
            tmp_path / "plain.html", items=media(tmp_path), heading="x", commands=[NextCommand(purpose="", command="")]
        )
    )
    items = [PageItem(path=item.path, caption=evil) for item in media_again(tmp_path)]
    page = write(
        tmp_path / "evil.html",
        title=evil,
        intro=evil,
        heading=evil,
        items=items,
        mesh_caption=evil,
        commands=[NextCommand(purpose=evil, command=evil)],
    )
    outline = Outline(page)
    assert [tag for tag, _ in outline.elements] == [tag for tag, _ in plain.elements]
    assert [set(attributes) - {"class"} for _, attributes in outline.elements] == [
        set(attributes) - {"class"} for _, attributes in plain.elements
    ]
    assert outline.text["h1"].strip() == outline.text["code"].strip() == evil
    assert outline.all("img")[0]["alt"] == evil


def media_again(folder: Path) -> list[PageItem]:
    return [PageItem(path=folder / name, caption="") for name in ("orbit.mp4", "sheet.png")]


def test_every_marker_is_filled(tmp_path):
    assert "{{" not in write(tmp_path / "a.html")


def test_the_mesh_comes_back_from_the_page(tmp_path):
    ball = coloured_ball()
    payload = embedded_mesh(write(tmp_path / "a.html", mesh=ball))
    vertices = np.array(payload["origin"]) + payload["scale"] * array(payload, "positions", "<u2")
    centred = ball.vertices - ball.bounds.mean(axis=0)
    radius = np.linalg.norm(centred, axis=1).max()
    assert np.allclose(vertices * radius, centred, atol=radius * 2e-5)
    assert np.array_equal(array(payload, "faces", "<u4"), ball.faces)
    assert np.array_equal(array(payload, "colors", "u1"), ball.visual.vertex_colors[:, :3])
    assert np.allclose(array(payload, "normals", "i1") / 127, ball.vertex_normals, atol=0.005)


def test_sixty_thousand_faces_stay_below_four_megabytes(tmp_path):
    ball = coloured_ball(subdivisions=6)
    assert len(ball.faces) > 60_000
    assert len(write(tmp_path / "a.html", mesh=ball)) < 4e6


def test_intro_becomes_paragraphs_and_commands_become_code(tmp_path):
    commands = [
        NextCommand(purpose="A mesh", command="gen3d mesh"),
        NextCommand(purpose="A video", command="gen3d video"),
    ]
    outline = Outline(write(tmp_path / "a.html", intro="One.\n\nTwo.\n  \nThree.", commands=commands))
    assert len([p for p in outline.all("p") if p.get("class") == "intro"]) == 3
    assert len(outline.all("code")) == 2


def test_what_cannot_be_shown_is_refused_before_anything_is_written(tmp_path):
    target = tmp_path / "out/a.html"
    (tmp_path / "mesh.glb").touch()
    with pytest.raises(InputError, match=r"choose one of \.png"):
        write(target, items=[PageItem(path=tmp_path / "mesh.glb", caption="")])
    with pytest.raises(NotFoundError):
        write(target, items=[PageItem(path=tmp_path / "none.png", caption="")])
    with pytest.raises(InputError, match="no faces"):
        mesh_payload(trimesh.Trimesh())
    assert not target.parent.exists()


def test_an_existing_page_stays_unless_told_otherwise(tmp_path):
    write(tmp_path / "a.html", title="First")
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path / "a.html", title="Second")
    assert "Second" in write(tmp_path / "a.html", title="Second", overwrite=True)


def textured_square() -> trimesh.Trimesh:
    """A square whose left half is red and whose right half is blue."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, :4, 0] = picture[:, 4:, 2] = 255
    visual = TextureVisuals(
        uv=[[0, 0], [1, 0], [1, 1], [0, 1]], material=PBRMaterial(baseColorTexture=Image.fromarray(picture))
    )
    corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


def test_a_texture_comes_back_from_the_page(tmp_path):
    payload = embedded_mesh(write(tmp_path / "a.html", mesh=textured_square()))
    uv = np.frombuffer(base64.b64decode(payload["uv"]), "<u2").reshape(-1, 2) / 65535
    range_ = np.array(payload["uv_range"])
    assert np.allclose(range_[:2] + range_[2:] * uv, [[0, 0], [1, 0], [1, 1], [0, 1]], atol=1e-4)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(payload["texture"].partition(",")[2]))), int)
    assert np.abs(picture[4, 1] - [255, 0, 0]).max() < 30
    assert np.abs(picture[4, 6] - [0, 0, 255]).max() < 30
    assert "colors" not in payload


def test_large_textures_become_smaller():
    mesh = textured_square()
    mesh.visual.material.baseColorTexture = Image.new("RGB", (4096, 2048))
    texture = mesh_payload(mesh)["texture"]
    assert Image.open(io.BytesIO(base64.b64decode(texture.partition(",")[2]))).size == (1024, 512)


def test_faces_may_have_colours_and_a_mesh_may_have_none():
    box = trimesh.creation.box()
    plain = mesh_payload(box)
    assert plain["shading"]
    assert "colors" not in plain
    box.visual.face_colors = np.arange(48, dtype=np.uint8).reshape(12, 4)
    payload = mesh_payload(box)
    colors = np.frombuffer(base64.b64decode(payload["colors"]), np.uint8).reshape(12, 3, 3)
    assert np.array_equal(colors[:, 0], box.visual.face_colors[:, :3])
    assert (colors == colors[:, :1]).all()


def test_sections_have_headings_and_each_mesh_a_canvas_of_its_own(tmp_path):
    sections = [
        PageSection(title=title, items=[PageMesh(mesh=coloured_ball(1), caption=title)]) for title in ("One", "Two")
    ]
    write_page(tmp_path / "a.html", title="Two", sections=sections)
    outline = Outline((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert [canvas["data-mesh"] for canvas in outline.all("canvas")] == ["mesh-1", "mesh-2"]
    ids = {script.get("id") for script in outline.all("script")}
    assert {"mesh-1", "mesh-2"} <= ids
    assert outline.text["h2"].split() == ["One", "Two"]
