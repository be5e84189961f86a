"""`gen3d view`: load what is named, serve a page, and go on until somebody ends it."""

import os
import shutil
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.browser.guard import is_local
from gen3d_tools.viewer.browser.server import Viewer, free_port
from gen3d_tools.viewer.studio import open_studio
from gen3d_tools.workflows.running.reporting import Reporter

DEFAULT_PORT = 8080
DEFAULT_HOST = "127.0.0.1"
_TICK = 0.5  # seconds between looks at whether to stop; Windows hears Ctrl-C no sooner


def view(
    names: Sequence[str],
    *,
    seeds: str | None = None,
    classes: str | None = None,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    open_page: bool = False,
    directions: Sequence[str] = (),
    base: str | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
    ready: Callable[[str], None] = lambda url: None,
    stop: threading.Event | None = None,
) -> None:
    """Serve a page that shows models, results and meshes, until `stop` is set or the program is interrupted.

    Args:
        names: Models, results and mesh files, as typed.
        seeds: The first of them is looked at first.
        classes: The first of them is.
        host: The address to listen on; 127.0.0.1 is reached from this machine alone.
        port: The first one to try.
        open_page: Open the page in this machine's browser.
        directions: Files of directions, of the first model.
        base: The model that results were tuned from; see `load_generator`.
        device: Of the models.
        reporter: Takes messages.
        ready: Is told the page's address as soon as it answers.
        stop: Ends the server when it is set.

    Raises:
        Gen3DError: Something is not there, cannot be read, or nothing can listen at the address.
    """
    reporter, stop = reporter or Reporter(), stop or threading.Event()
    if not names:
        raise InputError("there is nothing to view; name a model, a result or a mesh file, such as shapes")
    free_port(host, port)  # better said before the models are read than after
    studio = open_studio(
        names, seeds=seeds, classes=classes, directions=directions, base=base, device=device, reporter=reporter
    )
    viewer = Viewer(studio, host, port)
    try:
        for line in _told(viewer, port):
            reporter.say(line)
        ready(viewer.url)
        if open_page:
            _open(viewer.url, reporter)
        while not stop.wait(_TICK):
            pass
    finally:
        viewer.close()


def _told(viewer: Viewer, asked: int) -> list[str]:
    """Say where the page is, what that means, and how to end it."""
    lines = []
    if viewer.port != asked and asked:
        lines.append(f"port {asked} is in use; {viewer.port} is taken instead")
    if not is_local(viewer.host):
        lines.append(
            f"listening on {viewer.host}: everybody who reaches this machine there can use the page, its processor and "
            "its disk, without a password"
        )
    elif os.environ.get("SSH_CONNECTION"):
        lines.append(f"from your own machine: ssh -L {viewer.port}:127.0.0.1:{viewer.port} THIS_MACHINE")
    lines.append("Ctrl-C ends it")
    return lines


def _open(url: str, reporter: Reporter) -> None:
    """Open the page, where there is a display to open it on."""
    on_linux = sys.platform.startswith("linux")
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or shutil.which("wslview"))
    if on_linux and not has_display:
        reporter.say(f"there is no display to open the page on; open {url} yourself")
    elif not webbrowser.open(url):
        reporter.say(f"no browser could be started; open {url} yourself")
