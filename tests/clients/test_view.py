"""`gen3d view` in a real browser: Chromium without a screen, driven by Playwright, on the page as people see it."""

import gc
import io
import json
import threading
import time
import urllib.parse
import warnings

import imageio.v3 as iio
import numpy as np
import pytest
import trimesh
from PIL import Image

import gen3d_tools as g3
from gen3d_tools.viewer.browser.server import Viewer
from gen3d_tools.viewer.choice import base_ws
from gen3d_tools.viewer.studio import open_studio

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
HEIGHT, WIDTH = 512, 1400  # the middle square of the window is beside the controls, and as large as its picture
SQUARE = {"x": (WIDTH - HEIGHT) / 2, "y": 0, "width": HEIGHT, "height": HEIGHT}
PATIENCE = 120  # seconds: WebGL in software, on a machine that may be busy


@pytest.fixture(scope="module")
def browser(chromium):
    playwright = pytest.importorskip("playwright.sync_api", reason="make test-clients installs it")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shapes():
    viewer = Viewer(open_studio(["shapes"], seeds="3", classes="car", device="cpu"), port=0)
    yield viewer
    viewer.close()


class Visit:
    """One page of a viewer, and its session."""

    def __init__(self, browser, viewer, width=WIDTH, height=HEIGHT, sharp=HEIGHT):
        known = set(viewer.sessions)
        self.context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.asked, self.said = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(viewer.url)
        self.page.wait_for_selector("canvas")
        wait(self.page, lambda: set(viewer.sessions) - known)
        [self.session] = set(viewer.sessions) - known
        self.session.act(lambda: self.session.show(size=sharp))  # however busy the machine is
        self.settle()

    def settle(self):
        """Wait until nothing moves and the sharp picture has arrived."""
        wait(self.page, lambda: self.session.painter.is_done)
        self.page.wait_for_timeout(1500)
        wait(self.page, lambda: self.session.painter.is_done)

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def choose(self, label, value):
        field = self.page.get_by_label(label, exact=True).first
        field.click()
        field.fill(value)
        self.page.get_by_role("option", name=value, exact=True).click()

    def pixels(self):
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot(clip=SQUARE))).convert("RGB"))

    def expected(self):
        """The same square by `render`."""
        session = self.session
        [field] = session.generator.fields(base_ws(session.generator, session.choice))
        return g3.render(field, session.view.camera(), resolution=HEIGHT).rgb.permute(1, 2, 0).numpy()

    def psnr(self):
        return -10 * np.log10(np.mean((self.pixels() / 255 - self.expected()) ** 2))

    def wait_for_the_sharp_picture(self):
        """On a busy machine it is drawn long before the page shows it."""
        wait(self.page, lambda: self.psnr() > 35)

    def close(self):
        self.context.close()


def wait(page, happened, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it took too long"
        page.wait_for_timeout(50)


@pytest.fixture
def visit(browser, shapes):
    visit = Visit(browser, shapes)
    yield visit
    assert visit.said == []  # no error in the page's own program
    visit.close()


def test_the_page_loads_without_a_request_to_another_host(visit, shapes):
    hosts = {
        urllib.parse.urlsplit(url.removeprefix("blob:")).netloc for url in visit.asked if not url.startswith("data:")
    }
    assert hosts == {urllib.parse.urlsplit(shapes.url).netloc}


def test_the_page_shows_what_render_gives(visit):
    visit.wait_for_the_sharp_picture()
    assert visit.psnr() > 35


def test_a_slider_changes_the_picture_to_that_of_its_value(visit):
    before = visit.pixels()
    slider = visit.page.get_by_role("slider").first
    slider.focus()
    for _ in range(10):
        slider.press("ArrowLeft")
    visit.settle()
    assert visit.session.choice.psi == pytest.approx(0.5)
    assert np.abs(visit.pixels().astype(int) - before).mean() > 1
    visit.wait_for_the_sharp_picture()
    assert visit.psnr() > 35


def test_dragging_turns_the_object(visit):
    before, yaw = visit.pixels(), float(visit.session.view.camera().spherical()[0])
    visit.page.mouse.move(WIDTH / 2, HEIGHT / 2)
    visit.page.mouse.down()
    visit.page.mouse.move(WIDTH / 2 + 120, HEIGHT / 2 + 20, steps=10)
    visit.page.mouse.up()
    visit.settle()
    assert abs(float(visit.session.view.camera().spherical()[0]) - yaw) > 10
    assert np.abs(visit.pixels().astype(int) - before).mean() > 1
    visit.wait_for_the_sharp_picture()
    assert visit.psnr() > 35


def test_another_class_is_found_by_typing(visit):
    visit.choose("Class", "mug")
    visit.settle()
    assert visit.session.generator.class_names[visit.session.choice.class_index] == "mug"
    visit.wait_for_the_sharp_picture()
    assert visit.psnr() > 35


def test_key_frames_become_a_film_that_plays(visit, tmp_path):
    visit.tab("Path")
    visit.page.get_by_role("button", name="A whole turn").click()
    seconds = visit.page.get_by_label("Seconds")
    seconds.fill("0.5")
    seconds.press("Enter")
    visit.choose("Pixels", "256")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Film").click()
    download.value.save_as(tmp_path / "film.mp4")
    assert download.value.suggested_filename == "car-0003.mp4"
    with warnings.catch_warnings():  # imageio-ffmpeg leaves the closing of its pipes to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        frames = iio.imread(tmp_path / "film.mp4")
        gc.collect()
    assert frames.shape == (15, 256, 256, 3)
    assert np.abs(frames[7].astype(int) - frames[0]).mean() > 1


def test_the_mesh_is_laid_over_and_taken_home(visit, tmp_path):
    before = visit.pixels()
    visit.tab("Mesh")
    visit.choose("Lattice", "64")
    visit.choose("Overlay", "wireframe")
    wait(visit.page, lambda: visit.session.surface.line and not visit.session.jobs.running)
    visit.settle()
    assert np.abs(visit.pixels().astype(int) - before).mean() > 1
    visit.tab("Save")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Mesh (.glb)").click()
    download.value.save_as(tmp_path / "car.glb")
    assert len(trimesh.load_mesh(tmp_path / "car.glb").faces) > 1000


def test_the_record_arrives(visit, tmp_path):
    visit.tab("Save")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Record").click()
    download.value.save_as(tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["options"]["seed"] == 3


def test_a_photo_is_inverted_and_then_looked_at(browser, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[x**2 + y**2 < 0.4] = (200, 60, 30)
    Image.fromarray(pixels).save(tmp_path / "cup.png")
    viewer = Viewer(open_studio([str(tiny_folder)], device="cpu"), port=0)
    visit = Visit(browser, viewer)
    visit.session.photo.preset = "fast"
    visit.page.get_by_text("From a photo").click()
    visit.page.locator("input[type=file]").first.set_input_files(tmp_path / "cup.png")
    wait(visit.page, lambda: visit.session.generator.pivot is not None, 5 * PATIENCE)
    visit.settle()
    visit.wait_for_the_sharp_picture()
    assert visit.psnr() > 35
    visit.close()
    viewer.close()
    assert [path.name for path in (tmp_path / "gen3d-out").iterdir()] == ["invert-tiny-cup"]


def test_a_photo_that_is_dropped_arrives(visit, monkeypatch):
    taken = []
    monkeypatch.setattr(visit.session.photo, "take", lambda name, content: taken.append((name, content)))
    drop = """kind => {
        const files = new DataTransfer();
        files.items.add(new File(["a photo"], "cup.png", { type: "image/png" }));
        const event = new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true });
        return !document.querySelector("canvas").dispatchEvent(event);
    }"""
    assert visit.page.evaluate(drop, "dragover")  # or the browser would open the file in place of the page
    assert visit.page.evaluate("document.body.classList.contains('gen3d-dropping')")
    for _ in range(2):  # the same photo once more is a photo once more
        assert visit.page.evaluate(drop, "drop")
        wait(visit.page, lambda: taken)
        assert taken.pop() == ("cup.png", b"a photo")
    assert not visit.page.evaluate("document.body.classList.contains('gen3d-dropping')")


def test_key_frames_are_dragged_to_another_place(visit):
    visit.tab("Path")
    visit.page.get_by_role("button", name="A whole turn").click()
    keys = visit.page.locator(".gen3d-keys span")
    wait(visit.page, lambda: keys.count() == 8)
    before = list(visit.session.path.keys.views)
    keys.nth(0).drag_to(keys.nth(3))
    wait(visit.page, lambda: visit.session.path.keys.views[0] is not before[0])
    assert visit.session.path.keys.views == [*before[1:4], before[0], *before[4:]]


def test_eight_pages_that_move_at_once_each_get_pictures(browser, shapes):
    visits = [Visit(browser, shapes, 400, 600, sharp=256) for _ in range(8)]  # phones: the controls lie below
    before = [visit.session.view for visit in visits]
    for visit in visits:
        visit.page.mouse.move(200, 150)
        visit.page.mouse.down()
    for step in range(10):
        for visit in visits:
            visit.page.mouse.move(200 + 8 * step, 150)
    for visit, view in zip(visits, before, strict=True):
        visit.page.mouse.up()
        wait(visit.page, lambda visit=visit, view=view: visit.session.view != view)
        visit.settle()
    for visit in visits:
        visit.close()
    wait_for_none(shapes)


def wait_for_none(viewer):
    """Sessions of pages that are gone are gone, and their threads."""
    end = time.monotonic() + PATIENCE
    while viewer.sessions and time.monotonic() < end:
        time.sleep(0.1)
    assert viewer.sessions == ()
    assert not [thread for thread in threading.enumerate() if thread.name == "gen3d-painter"]
