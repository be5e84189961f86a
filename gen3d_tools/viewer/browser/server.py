"""A server on a free port: a session for each page that is opened, until it is closed."""

import errno
import itertools
import logging
import math
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

import rich
import viser

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.browser.canvas import Canvas
from gen3d_tools.viewer.browser.guard import GuardedServer, bound_uploads, is_local, keep_strangers_out
from gen3d_tools.viewer.browser.panel import Panel
from gen3d_tools.viewer.drawing.window import fov_of_window
from gen3d_tools.viewer.session import Session
from gen3d_tools.viewer.studio import Studio

logger = logging.getLogger(__name__)

PORTS_TRIED = 100
_SAME_ASPECT = 0.01


def free_port(host: str, port: int) -> int:
    """Find the first free port from one on.

    Args:
        host: The address to listen on.
        port: 1 to 65535, or 0 for any.

    Raises:
        InputError: The address is none of this machine's, or no port is free.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port is {port}; it must lie in 0..65535")
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                found: int = probe.getsockname()[1]
                return found
        except socket.gaierror as error:
            raise InputError(f"{host[:60]!r} is no address; try 127.0.0.1, or 0.0.0.0 for all") from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InputError(f"{host[:60]!r} is no address of this machine; try 127.0.0.1") from error
            if error.errno == errno.EACCES:
                raise InputError(f"port {candidate} needs rights of the system; try 8080") from error
    raise InputError(f"ports {port} to {port + PORTS_TRIED - 1} are all in use; give another one with --port")


class Viewer:
    """A running server.

    Args:
        studio: What there is to look at.
        host: The address to listen on.
        port: See `free_port`.

    Raises:
        InputError: Nothing can listen there.
    """

    def __init__(self, studio: Studio, host: str = "127.0.0.1", port: int = 8080) -> None:
        self.studio, self.host, self.port = studio, host, free_port(host, port)
        self._sessions: dict[int, Session] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        console = rich.get_console()
        console.quiet, before = True, console.quiet  # viser draws on stdout, which is for results
        self._restore: Callable[[], None] = lambda: setattr(console, "quiet", before)
        self.server = GuardedServer(host, self.port, label="gen3d", verbose=False)
        self._is_refused = keep_strangers_out(self.server, host)
        warnings.filterwarnings("ignore", "Queued a .* on a closed connection", UserWarning)  # pages go when they like
        self.server.scene.set_up_direction("+y")
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self.server.on_client_connect(self._opened)
        self.server.on_client_disconnect(self._closed)

    @property
    def url(self) -> str:
        """Where the page is, for a browser on this machine."""
        host = self.host if is_local(self.host) or self.host not in ("0.0.0.0", "::") else "127.0.0.1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Those of the pages that are open."""
        return tuple(self._sessions.values())

    def close(self) -> None:
        """End all sessions, and listen no more."""
        with self._lock:
            left, self._sessions = list(self._sessions.values()), {}
        for session in left:
            session.close()
        self.server.stop()
        self._restore()

    def _opened(self, client: viser.ClientHandle) -> None:
        if self._is_refused(client.client_id):
            return
        page = Canvas(client)
        session = Session(self.studio, page, next(self._numbers))
        view = page.view(client.camera)
        session.resize(view.width, view.height)
        bound_uploads(client.gui, lambda why: session.failed(InputError(why)))
        Panel(session, page)
        with self._lock:
            if client.client_id not in self.server.get_clients():  # gone already
                session.close()
                return
            self._sessions[client.client_id] = session
        self._follow(client, page, session)
        session.start()
        logger.info("page %d opened", session.number)

    def _closed(self, client: viser.ClientHandle) -> None:
        with self._lock:
            session = self._sessions.pop(client.client_id, None)
        if session is not None:
            session.close()
            logger.info("page %d closed", session.number)

    def _follow(self, client: viser.ClientHandle, page: Canvas, session: Session) -> None:
        """Tell the session of the browser's camera; in the event loop, where messages stay in order."""

        async def moved(camera: Any) -> None:
            view = page.view(camera)
            before = session.view
            if abs(view.aspect / before.aspect - 1) > _SAME_ASPECT and min(view.aspect, before.aspect) < 1:
                session.resize(view.width, view.height)  # the square keeps its lens
                camera.fov = math.radians(fov_of_window(session.view.fov_deg, view.aspect))
            else:
                session.act(lambda: session.moved(view))

        client.camera.on_update(moved)
