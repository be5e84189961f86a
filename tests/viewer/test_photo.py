"""A photo becomes an object in a process of its own; what is cancelled, broken or dead leaves nothing."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

import gen3d_tools as g3
from gen3d_tools.errors import Gen3DError
from gen3d_tools.viewer.actions import photo as photo_module
from gen3d_tools.viewer.actions.photo import invert_apart
from gen3d_tools.viewer.jobs import Cancelled, Job
from gen3d_tools.viewer.session import Session
from tests.viewer.recording_page import RecordingPage, session_of


@pytest.fixture
def session(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = session_of(g3.load_generator(tiny_folder, device="cpu"), device="cpu")
    yield session
    session.close()


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[x**2 + y**2 < 0.4] = (200, 60, 30)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return (tmp_path / "photo.png").read_bytes()


@pytest.mark.slow
def test_the_result_is_a_folder_that_is_looked_at(session, photo, tmp_path, tiny_folder):
    session.photo.take("My cup?.png", photo, steps=4)
    session.jobs.wait(300)
    assert session.page.failures == []
    assert session.generator.pivot is not None
    assert session.choice.seed is None
    [folder] = (tmp_path / "gen3d-out").iterdir()
    assert folder.name == "invert-tiny-My-cup"
    assert g3.load_generator(folder, base=tiny_folder).pivot is not None
    shares = [share for what, share, _ in session.page.progress if what == "Photo"]
    assert shares[-1] is None
    assert shares[:-1] == sorted(shares[:-1])
    assert shares[-2] == 1.0
    assert any("tuning" in line for _, _, line in session.page.progress)
    assert session.page.works
    for what, pixels in session.page.works:
        assert (what, pixels.shape, pixels.dtype) == ("Photo", (128, 128, 3), np.uint8)


def test_photos_of_one_name_on_two_pages_get_folders_of_their_own(session, tmp_path, monkeypatch):
    """Telephones call every photo that they send alike."""
    other, both, folders = Session(session.studio, RecordingPage()), threading.Barrier(2, timeout=30), []

    def work_on(order, job, page):
        both.wait()  # neither folder is there before both are worked on
        folders.append(order["out"])
        (tmp_path / order["out"]).mkdir(parents=True)

    monkeypatch.setattr(photo_module, "invert_apart", work_on)
    monkeypatch.setattr(photo_module.PhotoActions, "_look_at", lambda self, folder, model: None)
    for one in (session, other):
        one.photo.take("image.jpg", b"")
    for one in (session, other):
        one.jobs.wait(60)
        assert one.page.failures == []
    assert sorted(folders) == ["gen3d-out/invert-tiny-image", "gen3d-out/invert-tiny-image-2"]


@pytest.mark.slow
def test_a_cancelled_photo_leaves_nothing(session, photo, tmp_path):
    page = session.page
    session.photo.take("cup.png", photo, steps=400)
    begun = threading.Event()
    page.show_progress = lambda what, share, line="": begun.set() if share else None
    assert begun.wait(120)
    session.jobs.cancel("Photo")
    session.jobs.wait(60)
    assert page.failures == []
    assert session.generator.pivot is None
    left = list((tmp_path / "gen3d-out").iterdir()) if (tmp_path / "gen3d-out").exists() else []
    assert left == []


@pytest.mark.parametrize("name", ["notes.txt", "photo", "../../photo.exe"])
def test_what_is_no_photo_by_its_name_is_refused(session, photo, name):
    session.act(lambda: session.photo.take(name, photo))
    assert "no photo by its name" in session.page.failures[-1]
    assert session.jobs.running == ()


@pytest.mark.slow
def test_a_broken_photo_is_a_notice_and_leaves_nothing(session, photo, tmp_path):
    session.photo.take("cup.png", photo[:200])
    session.jobs.wait(120)
    assert "broken picture" in session.page.failures[-1]
    assert not (tmp_path / "gen3d-out").exists() or not list((tmp_path / "gen3d-out").iterdir())


@pytest.mark.slow
def test_a_process_that_dies_is_told(session, tmp_path, monkeypatch):
    job = Job("Photo", RecordingPage())
    order = {"photo": str(tmp_path / "x.png"), "model": "shapes", "out": "o", "preset": "fast", "steps": 2}
    with pytest.raises(Gen3DError):  # the photo is not there; the process says so
        invert_apart(order | {"device": "cpu"}, job, RecordingPage())
    job.cancelled.set()
    with pytest.raises(Cancelled):
        invert_apart(order | {"device": "cpu"}, job, RecordingPage())
    import multiprocessing

    assert multiprocessing.active_children() == []
    assert os.listdir(tmp_path) == []
