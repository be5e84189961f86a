"""Who may connect, what may be uploaded, and nothing that leaves the machine.

A server on 127.0.0.1 is reached by every page that the same browser has open: WebSockets are not bound to a page's own
host. So a connection says from which page it comes (Origin), and by which name this server was reached (Host, which a
name server can point anywhere); both have to be names of ours.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import viser
from viser import _messages as messages

logger = logging.getLogger(__name__)

MAX_UPLOAD = 64 * 2**20
"""Bytes of a file that may be uploaded."""

MAX_SESSIONS = 32
"""Pages that may be open at a time."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_REFUSED = 1008  # WebSocket's code for a policy


class GuardedServer(viser.ViserServer):
    """viser's server without its tunnel to the outside, which any page could ask for."""

    def request_share_url(self, verbose: bool = True) -> None:
        """Refuse."""
        logger.warning("a page asked for a public address, and got none")


def is_local(host: str) -> bool:
    """Whether a server on this address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def may_connect(origin: str | None, reached_as: str | None, host: str) -> bool:
    """Whether a connection comes from a page of ours.

    Args:
        origin: What the browser says: the page's scheme, host and port; None for programs that are no browser.
        reached_as: The host and port that the connection was made to.
        host: The address that the server listens on.
    """
    name = urlsplit(f"//{reached_as or ''}").hostname or ""
    if origin is not None and urlsplit(origin).netloc != reached_as:
        return False
    if host in _EVERYWHERE:
        return True
    return name in {host.lower(), *(_LOCAL if is_local(host) else ())}


def keep_strangers_out(server: GuardedServer, host: str) -> Callable[[int], bool]:
    """Close connections from pages of others, and those beyond `MAX_SESSIONS`.

    Args:
        server: Whose.
        host: The address that it listens on.

    Returns:
        Whether a client, by its number, was refused; its messages may have been quicker than the end.
    """
    connections = server._websock_server
    refused: set[int] = set()

    async def check(connection: Any) -> None:
        socket = connections._live_connections.get(connection.client_id)
        if socket is None or socket.request is None:
            return
        headers = socket.request.headers
        if not may_connect(headers.get("Origin"), headers.get("Host"), host):
            refused.add(connection.client_id)
            logger.warning("refused a page of another host")
            await socket.close(_REFUSED, "this page is of another host")
        elif len(connections._live_connections) > MAX_SESSIONS:
            refused.add(connection.client_id)
            logger.warning("refused a page: %d are open", MAX_SESSIONS)
            await socket.close(_REFUSED, f"{MAX_SESSIONS} pages are open already")

    connections._client_connect_cb.insert(0, check)
    return refused.__contains__


def bound_uploads(gui: Any, refused: Callable[[str], None], largest: int = MAX_UPLOAD) -> None:
    """Take in no more of a file than is allowed; viser would keep whatever a page sends.

    Args:
        gui: viser's, of a page.
        refused: Told why a file is not taken.
        largest: Bytes.
    """
    link, begin, go_on = gui._websock_interface, gui._handle_file_transfer_start, gui._handle_file_transfer_part

    def start(client: Any, message: Any) -> None:
        states = gui._current_file_upload_states
        if not 0 <= message.size_bytes <= largest or not 0 <= message.part_count <= largest:
            refused(f"the file has {message.size_bytes:,} bytes; at most {largest:,} are taken")
        elif states:
            refused("another file is on its way; wait for it")
        else:
            begin(client, message)

    def part(client: Any, message: Any) -> None:
        state = gui._current_file_upload_states.get(message.transfer_uuid)
        if state is not None and state["transferred_bytes"] + len(message.content) > state["total_bytes"]:
            gui._current_file_upload_states.pop(message.transfer_uuid, None)
            refused("the file is longer than the page said; it was not taken")
            return
        go_on(client, message)

    _replace_handlers(link, [(messages.FileTransferStartUpload, start), (messages.FileTransferPart, part)])


def _replace_handlers(link: Any, handlers: Iterable[tuple[type, Callable[..., None]]]) -> None:
    for kind, handler in handlers:
        link.unregister_handler(kind)
        link.register_handler(kind, handler)
