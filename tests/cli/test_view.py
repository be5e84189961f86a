"""`gen3d view` as it is typed: the address on stdout, one line for what is wrong, an end at once."""

import signal
import subprocess
import sys
import urllib.request

import pytest

RUN = """
import sys
from gen3d_tools.cli.app import main
sys.argv = ['gen3d', *sys.argv[1:]]
main()
"""


def heard() -> None:
    """Hear Ctrl-C, which programs in the background of a shell do not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_page_is_and_ends_at_once(tiny_folder, tmp_path, number):
    command = [sys.executable, "-c", RUN, "view", str(tiny_folder), "--port", "0", "--device", "cpu"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, preexec_fn=heard, **pipes) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert b"<!doctype html>" in urllib.request.urlopen(address).read()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    assert "Ctrl-C ends it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("no-such-model",), 3, "no model 'no-such-model'"),
        (("shapes", "--host", "8.8.8.8"), 2, "no address of this machine"),
        (("shapes", "--class", "banana"), 2, "unknown class"),
        (("gone.glb",), 3, "gone.glb is not there"),
        (("shapes", "--directions", "gone.safetensors"), 3, "gone.safetensors"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_an_exit_code(gen3d, arguments, code, said):
    outcome = gen3d("view", *arguments, "--port", "0")
    assert outcome.code == code
    assert said in outcome.err
    assert outcome.out == ""


def test_a_display_that_is_not_there_is_said(monkeypatch):
    from gen3d_tools.viewer import serve
    from gen3d_tools.workflows.running.reporting import Reporter

    said = []

    class Listening(Reporter):
        def say(self, message):
            said.append(message)

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(serve.sys, "platform", "linux")
    monkeypatch.setattr(serve.shutil, "which", lambda name: None)
    monkeypatch.setattr(serve.webbrowser, "open", lambda url: pytest.fail("a browser was started"))
    serve._open("http://127.0.0.1:1", Listening())
    assert "no display" in said[0]
    assert "http://127.0.0.1:1" in said[0]
