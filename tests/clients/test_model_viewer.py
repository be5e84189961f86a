"""A web page with Google's <model-viewer>, in Chromium without a screen, shows our .glb files."""

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gen3d_tools.media.images import read_image
from tests.clients.conftest import HERE

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
SECONDS = 150  # WebGL in software, on a machine that may be busy


class Page(BaseHTTPRequestHandler):
    """Serves three files and takes the page's answer."""

    files: dict[str, tuple[str, bytes]]
    answer: dict
    answered: threading.Event

    def do_GET(self):
        kind, content = self.files.get(self.path, ("text/plain", b""))
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        self.answer.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.answered.set()

    def log_message(self, *arguments):
        """Keep quiet."""


@contextmanager
def serving(files: dict[str, tuple[str, bytes]]) -> Iterator[tuple[str, type[Page]]]:
    page = type("ThisPage", (Page,), {"files": files, "answer": {}, "answered": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", page
        server.shutdown()


def shown(chromium: str, packages: Path, mesh: Path, profile: Path) -> dict:
    """What the page says when the mesh is on the screen."""
    script = packages / "@google/model-viewer/dist/model-viewer.min.js"
    files = {
        "/": ("text/html", (HERE / "viewer.html").read_bytes()),
        "/model-viewer.min.js": ("text/javascript", script.read_bytes()),
        "/mesh.glb": ("model/gltf-binary", mesh.read_bytes()),
    }
    with serving(files) as (address, page):
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", "--window-size=400,400", address]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert page.answered.wait(SECONDS), "the page did not answer"
        finally:
            browser.terminate()
            browser.wait(30)
        return page.answer


@pytest.mark.parametrize("kind", ["colored", "textured"])
def test_the_page_shows_a_red_car(written, chromium, packages, car, tmp_path, kind):
    answer = shown(chromium, packages, written(kind, ".glb"), tmp_path / "profile")
    assert "error" not in answer
    assert [answer["size"][axis] for axis in "xyz"] == pytest.approx(car.colored.extents, rel=1e-4)
    picture = tmp_path / f"{kind}.png"
    picture.write_bytes(base64.b64decode(answer["picture"].split(",")[1]))
    red, green, blue = read_image(picture).numpy()
    assert ((red > 0.5) & (green < 0.35) & (blue < 0.35)).mean() > 0.05
    assert np.ptp(red) > 0.5
