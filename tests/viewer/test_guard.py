"""Who may connect, and how much may be uploaded."""

from types import SimpleNamespace

import pytest

from gen3d_tools.viewer.browser.guard import bound_uploads, is_local, may_connect


@pytest.mark.parametrize(
    ("origin", "reached_as", "host", "allowed"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", True),
        ("http://localhost:8080", "localhost:8080", "127.0.0.1", True),
        (None, "127.0.0.1:8080", "127.0.0.1", True),  # no browser
        ("http://evil.example", "127.0.0.1:8080", "127.0.0.1", False),  # another page of the same browser
        ("http://127.0.0.1:9999", "127.0.0.1:8080", "127.0.0.1", False),
        ("http://evil.example:8080", "evil.example:8080", "127.0.0.1", False),  # a name that points here
        ("null", "127.0.0.1:8080", "127.0.0.1", False),
        ("http://box.lan:8080", "box.lan:8080", "0.0.0.0", True),
        ("http://evil.example", "box.lan:8080", "0.0.0.0", False),
        ("http://192.168.1.5:80", "192.168.1.5:80", "192.168.1.5", True),
        ("http://[::1]:8080", "[::1]:8080", "::1", True),
        (None, None, "127.0.0.1", False),
    ],
)
def test_only_pages_of_this_server_connect(origin, reached_as, host, allowed):
    assert may_connect(origin, reached_as, host) is allowed


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_which_addresses_are_this_machine_alone(host, local):
    assert is_local(host) is local


class Link:
    """viser's connection, as far as uploads need it."""

    def __init__(self):
        self.handlers = {}

    def register_handler(self, kind, handler):
        self.handlers[kind.__name__] = handler

    def unregister_handler(self, kind):
        self.handlers.pop(kind.__name__)

    def send(self, kind, **content):
        self.handlers[kind](0, SimpleNamespace(**content))


class Gui:
    def __init__(self):
        self._websock_interface, self._current_file_upload_states, self.parts = Link(), {}, []
        for kind in ("FileTransferStartUpload", "FileTransferPart"):
            self._websock_interface.handlers[kind] = None

    def _handle_file_transfer_start(self, client, message):
        state = {"transferred_bytes": 0, "total_bytes": message.size_bytes}
        self._current_file_upload_states[message.transfer_uuid] = state

    def _handle_file_transfer_part(self, client, message):
        self.parts.append(message.content)
        self._current_file_upload_states[message.transfer_uuid]["transferred_bytes"] += len(message.content)


@pytest.fixture
def gui():
    return Gui()


@pytest.fixture
def refused(gui):
    lines = []
    bound_uploads(gui, lines.append, largest=100)
    return lines


def begin(gui, size, parts=1, name="a"):
    gui._websock_interface.send("FileTransferStartUpload", size_bytes=size, part_count=parts, transfer_uuid=name)


def part(gui, size, name="a"):
    gui._websock_interface.send("FileTransferPart", content=bytes(size), transfer_uuid=name)


def test_a_small_file_is_taken(gui, refused):
    begin(gui, 60)
    part(gui, 60)
    assert (gui.parts, refused) == ([bytes(60)], [])


@pytest.mark.parametrize(("size", "parts"), [(101, 1), (-1, 1), (50, 10**9), (50, -1)])
def test_a_file_that_says_it_is_too_large_is_not_begun(gui, refused, size, parts):
    begin(gui, size, parts)
    assert gui._current_file_upload_states == {}
    assert len(refused) == 1


def test_a_file_that_is_longer_than_it_says_is_thrown_away(gui, refused):
    begin(gui, 60, parts=3)
    part(gui, 50)
    part(gui, 50)
    assert gui._current_file_upload_states == {}
    assert "longer" in refused[0]


def test_one_file_at_a_time(gui, refused):
    begin(gui, 60)
    begin(gui, 60, name="b")
    assert list(gui._current_file_upload_states) == ["a"]
    assert "another file" in refused[0]
