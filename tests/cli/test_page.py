"""`gen3d page`: everything on one page that needs nothing else."""

import re
from pathlib import Path

import pytest
import torch
import trimesh

from gen3d_tools.media.images import write_image
from gen3d_tools.workflows.page import run as module
from gen3d_tools.workflows.page import subjects
from gen3d_tools.workflows.page.figures import FigureSizes


@pytest.fixture
def small(monkeypatch):
    """Films and sheets of few pixels."""
    sizes = FigureSizes(film=16, frames=3, picture=16, lattice=24, faces=400, texture=64)
    monkeypatch.setattr(module, "FigureSizes", lambda: sizes)
    monkeypatch.setattr("gen3d_tools.workflows.page.figures.FigureSizes", lambda **changed: sizes)


@pytest.fixture
def files(tmp_path):
    trimesh.creation.icosphere(subdivisions=2).export(tmp_path / "ball.ply")
    write_image(tmp_path / "picture.png", torch.rand(3, 8, 8))


def test_meshes_and_pictures_come_on_one_page(gen3d, files):
    made = gen3d("page", "ball.ply", "picture.png", "--title", "Mine", "-o", "gallery.html")
    assert made.code == 0, made.err
    page = Path("gallery.html").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in page
    assert page.count("<canvas data-mesh") == 1
    assert page.count("<img ") == 1
    assert not re.search(r"https?://", page)
    assert not (Path("gallery.html").parent / "gallery").exists()


@pytest.mark.slow
def test_a_model_gets_a_sheet_and_each_sample_a_film_and_a_mesh(gen3d, tiny_folder, small):
    made = gen3d("page", tiny_folder, "--class", "all", "--seeds", 0, "--psi", 0.7, "-o", "out/")
    assert made.code == 0, made.err
    assert made.paths == ["out/gallery.html"]
    page = Path("out/gallery.html").read_text(encoding="utf-8")
    assert page.count("<video ") == 2
    assert page.count("<canvas data-mesh") == 2
    assert page.count("data:image/jpeg;base64,") == 2  # textures
    assert page.count("<img ") == 1
    assert "Ball 0, as the network draws it" in page
    assert "--class ball --seeds 0 --psi 0.7 --texture" in page  # the command makes what is shown


@pytest.mark.slow
def test_a_result_shows_how_it_came_about(gen3d, tiny_folder, small):
    import shutil

    shutil.copytree(tiny_folder, "tiny")
    assert gen3d("edit", "tiny", "--class", "cube", "-d", "sefa-1=1", "-o", "edited").code == 0
    made = gen3d("page", "edited", "-o", "a.html")
    assert made.code == 0, made.err
    page = Path("a.html").read_text(encoding="utf-8")
    assert "How it came about" in page
    assert "The cube as a" in page


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none.glb",), 3, "there is no file none.glb"),
        (("nothing",), 3, "no model 'nothing'"),
        (("picture.png", "-o", "a.txt"), 2, "a.txt is no page"),
        (("shapes", "--texture", 100), 2, "power of two"),
        (
            ("ball.ply", "--seeds", 3, "--class", "mug", "--psi", 0.5),
            2,
            "--seeds, --class, --psi: that is for models",
        ),
        (("picture.png", "--texture", 256, "--size", 64), 2, "--size, --texture: that is for models and results"),
        (("ball.ply", "--base", "nonsense"), 2, "a base is that of an inversion result, and none is named"),
        (["picture.png"] * 65, 2, "at most 64 things, got 65"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_leaves_nothing(gen3d, files, leftovers, arguments, code, message):
    before = leftovers()
    outcome = gen3d("page", *arguments)
    assert outcome.code == code
    assert message in outcome.error
    assert leftovers() == before


def test_a_page_has_a_bound(gen3d, files, monkeypatch, leftovers):
    monkeypatch.setattr(subjects, "MAX_MEDIA_BYTES", 10)
    before = leftovers()
    outcome = gen3d("page", "picture.png")
    assert outcome.code == 2
    assert "together, a page takes" in outcome.error
    monkeypatch.setattr(subjects, "MAX_FILE_BYTES", 10)
    assert "ball.ply has" in gen3d("page", "ball.ply").error
    assert leftovers() == before


def test_a_large_page_is_said_to_be_large(gen3d, files, monkeypatch):
    monkeypatch.setattr(module, "LARGE_BYTES", 1000)
    assert "gallery.html is large" in gen3d("page", "picture.png", "-o", "gallery.html").err


def test_too_many_samples_to_film_are_refused(gen3d, tiny_folder, leftovers):
    outcome = gen3d("page", tiny_folder, "--class", "all", "--seeds", "0-9")
    assert outcome.code == 2
    assert "20 samples of tiny are too many" in outcome.error
    assert leftovers() == []
