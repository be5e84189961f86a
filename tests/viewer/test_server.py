"""The server without a browser: ports, addresses, connections of strangers, and clients that come and vanish."""

import asyncio
import socket
import threading
import time
import urllib.request

import pytest
import websockets

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.viewer.browser.panel_object import ObjectTab
from gen3d_tools.viewer.browser.server import Viewer, free_port
from gen3d_tools.viewer.choice import first_choice
from gen3d_tools.viewer.serve import view
from gen3d_tools.viewer.studio import Studio
from gen3d_tools.workflows.running.reporting import Reporter
from tests.generators.small_families import eg3d
from tests.viewer.clients import Client, waited
from tests.viewer.recording_page import session_of


@pytest.fixture
def viewer(tiny_generator):
    studio = Studio({"tiny": tiny_generator}, begin=first_choice(tiny_generator, "tiny"))
    viewer = Viewer(studio, port=0)
    yield viewer
    viewer.close()


def test_a_port_in_use_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port) <= port + 100


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", -1), ("127.0.0.1", 70000), ("no.such.host.invalid", 8080), ("8.8.8.8", 8080)],
)
def test_an_address_that_is_not_ours_is_refused(host, port):
    with pytest.raises(InputError):
        free_port(host, port)


def test_the_page_is_served_from_here_alone(viewer):
    page = urllib.request.urlopen(viewer.url).read().decode()
    assert "<!doctype html>" in page
    assert viewer.url.startswith("http://127.0.0.1:")


@pytest.mark.slow
def test_a_client_that_moves_gets_pictures_and_leaves_nothing_when_it_vanishes(viewer):
    before = threading.active_count()

    async def visit():
        async with Client(viewer.port) as client:
            for step in range(3):
                await client.look_from((2.0 + 0.1 * step, 1.0, 2.0))
                await client.wait_for_pictures(step + 1)
            client.vanish()

    asyncio.run(visit())
    assert waited(lambda: not viewer.sessions)
    assert waited(lambda: threading.active_count() <= before + 33)  # viser's own pool stays
    assert waited(lambda: "gen3d-painter" not in [thread.name for thread in threading.enumerate()])


@pytest.mark.slow
def test_two_clients_have_sessions_of_their_own(viewer):
    async def visit():
        async with Client(viewer.port) as one, Client(viewer.port) as other:
            for client in (one, other):
                await client.look_from((1.0, 1.0, 1.0))  # a page is open when it says from where it looks
                await client.wait_for_pictures(1)
            await one.look_from((2.0, 1.0, 2.0))
            await one.wait_for_pictures(one.pictures + 1)
            first, second = viewer.sessions
            first.choose(seed=7)
            assert second.choice.seed == 0
            assert first.view.position == (2.0, 1.0, 2.0)
            assert second.view.position != (2.0, 1.0, 2.0)

    asyncio.run(visit())


def test_a_page_of_another_host_gets_no_session(viewer):
    async def visit():
        async with Client(viewer.port, origin="http://evil.example") as client:
            await client.look_from((2.0, 1.0, 2.0))
            await client.wait_for_pictures(1)

    with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
        asyncio.run(visit())
    assert closed.value.rcvd.code == 1008
    assert viewer.sessions == ()


def test_nobody_gets_a_public_address(viewer):
    assert viewer.server.request_share_url() is None
    assert viewer.server._share_tunnel is None


def test_view_says_where_it_is_and_ends_when_asked(tiny_folder, capsys):
    stop, ready, said = threading.Event(), threading.Event(), []

    addresses = []

    def when_ready(url):
        addresses.append(url)
        ready.set()

    class Listening(Reporter):
        def say(self, message):
            said.append(message)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        serving = threading.Thread(
            target=lambda: view(
                [str(tiny_folder)], port=port, device="cpu", reporter=Listening(), ready=when_ready, stop=stop
            )
        )
        serving.start()
        assert ready.wait(60)
    assert any(f"port {port} is in use" in line for line in said)
    assert urllib.request.urlopen(addresses[0]).status == 200
    begun = time.monotonic()
    stop.set()
    serving.join(30)
    assert not serving.is_alive()
    assert time.monotonic() - begun < 20
    assert capsys.readouterr().out == ""  # viser draws nothing on stdout


@pytest.mark.parametrize(
    ("names", "changes"), [([], {}), (["no-such-model"], {}), (["shapes"], {"host": "8.8.8.8"}), (["a.glb"], {})]
)
def test_what_cannot_be_shown_is_refused_before_anything_listens(names, changes):
    with pytest.raises(Gen3DError):
        view(names, port=0, **changes)


def test_the_marks_of_mixed_layers_reach_as_far_as_those_of_each_model(viewer, tiny_generator):
    """Models that are chosen on a page have more layers than the one it began with, or fewer."""
    other = eg3d()
    assert other.num_ws != tiny_generator.num_ws
    session = session_of(tiny_generator, other)
    tab = ObjectTab(session, viewer.server.gui)
    for name in ("model 1", "model 0"):
        session.choose_model(name)
        tab.refresh()
        layers = session.generator.num_ws - session.generator.own_rows
        assert tab._mixed.max == layers
        assert tab._mixed.value == session.choice.mixed == (layers, layers)
        session.choose(mixed=(0, int(tab._mixed.max)))
