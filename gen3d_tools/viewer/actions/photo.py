"""The object of a photo: an inversion in a process of its own, with a bar, seen while it works, ended at any time.

The photo is a stranger's file. It is written into a folder that is removed, under a name of ours, and read by the
process with the same reader as `gen3d invert`. The result is a folder in `gen3d-out`, as that command leaves it.
"""

import math
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.files import safe_name, shorten
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.inversion.results.unfinished import Unfinished
from gen3d_tools.media.images import to_uint8
from gen3d_tools.viewer.actions.edits import offer
from gen3d_tools.viewer.choice import first_choice
from gen3d_tools.viewer.drawing.window import default_view
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.viewer.page import Page
from gen3d_tools.workflows.running.places import output_folder
from gen3d_tools.workflows.running.reporting import Reporter

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

PHOTO = "Photo"
PRESETS = ("fast", "balanced", "best")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
_TICKS = 1000
_PICTURES_APART = 1.5  # seconds from one picture of the work to the next, at least
_PICTURES_SHARE = 0.1  # of the work's time may go into them
_PATIENCE = 5.0  # seconds that a process has to end when it is asked to


class PhotoActions:
    """What a session does with photos.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.preset = "balanced"

    def choose_preset(self, preset: str) -> None:
        """Say how much work is done.

        Raises:
            InputError: There is no such preset.
        """
        if preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}; choose {', '.join(PRESETS)}")
        self.preset = preset

    def take(self, name: str, content: bytes, *, steps: int | None = None) -> None:
        """Find the object of a photo, and look at it when it is found.

        Args:
            name: Of the file, as the browser says.
            content: Of the file.
            steps: Of both stages; None = the preset's.

        Raises:
            InputError: It is no photo by its name, or one is being worked on.
        """
        session, generator = self._session, self._session.generator
        suffix = PurePath(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{shorten(safe_name(name), 60)} is no photo by its name; give a .jpg, .png or .webp")
        model = generator.source
        if generator.pivot is not None or not model:
            model = next((one.source for one in session.models.values() if one.pivot is None and one.source), "")
            if not model:
                raise InputError("photos are found by a model, and here are only results; start `gen3d view` with one")
        stem = shorten(re.sub(r"[^\w-]+", "-", PurePath(name).stem).strip("-") or "photo", 60)
        preset = self.preset

        def work(job: Job) -> None:
            with (
                tempfile.TemporaryDirectory() as folder,
                session.studio.reserved(lambda taken: output_folder("invert", model, [stem], taken=taken)) as target,
            ):
                photo = Path(folder) / f"{stem}{suffix}"
                photo.write_bytes(content)
                order = {"photo": str(photo), "model": model, "out": str(target), "preset": preset, "steps": steps}
                try:
                    invert_apart(order | {"device": session.studio.device}, job, session.page)
                except BaseException:
                    Unfinished(target, {}).remove()  # nobody will go on with it
                    raise
            self._look_at(target, model)

        session.jobs.begin(PHOTO, work)

    def _look_at(self, folder: Path, model: str) -> None:
        session = self._session
        tuned = load_generator(folder, device=session.studio.device, base=model)
        name = folder.name
        session.models[name] = tuned
        session.directions[name] = offer(tuned, str(folder), base=model)
        session.history.add(first_choice(tuned, name))
        session.look_from(default_view(tuned, session.view))
        session.page.tell(f"the result is {folder}: a model for every command")
        session.changed()


def invert_apart(order: dict[str, Any], job: Job, page: Page) -> None:
    """Run `gen3d invert` in a process of its own.

    Args:
        order: What it is told: photo, model, out, preset, steps, device.
        job: Shows how far it is; when it is cancelled, the process is ended and nothing is left.
        page: Takes its messages and pictures.

    Raises:
        Gen3DError: What the inversion raised, or the process died.
        Cancelled: The job was.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_invert, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        line = ""
        while True:
            job.check()
            if not ours.poll(0.1):
                if not process.is_alive() and not ours.poll():
                    raise Gen3DError(f"the process of the photo ended by itself (code {process.exitcode}); try again")
                continue
            try:
                kind, value = ours.recv()
            except EOFError:
                raise Gen3DError(f"the process of the photo ended by itself (code {process.exitcode})") from None
            if kind == "share":
                job.report(value, line)
            elif kind == "line":
                line = value
            elif kind == "say":
                page.tell(value)
            elif kind == "picture":
                page.show_work(PHOTO, value)
            elif kind == "failed":
                raise Gen3DError(value)
            else:
                return
    finally:
        _end(process)
        ours.close()


def _end(process: Any) -> None:
    """End a process: as Ctrl-C does first, then for good."""
    if process.is_alive():
        process.terminate()
        process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
    process.join(_PATIENCE)


class _Sending(Reporter):
    """Sends what a workflow says through a pipe, and its pictures as often as they cost little of the work."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._next_picture = -math.inf

    def say(self, message: str) -> None:
        self._pipe.send(("say", message))

    def describe(self, what: str) -> None:
        self._pipe.send(("line", what))

    def picture(self, make: Callable[[], Tensor]) -> None:
        begun = time.monotonic()
        if begun < self._next_picture:
            return
        self._pipe.send(("picture", to_uint8(make())))
        now = time.monotonic()
        self._next_picture = now + max(_PICTURES_APART, (now - begun) / _PICTURES_SHARE)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda done: self._pipe.send(("share", done / max(total, 1)))


def _invert(order: dict[str, Any], pipe: Connection) -> None:
    """Main function of the process."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `cli.app` says
    from gen3d_tools.workflows.invert.run import WorkOptions, invert
    from gen3d_tools.workflows.running.interrupts import ended_by_signals

    try:
        with ended_by_signals():
            invert(
                [Path(order["photo"])],
                model=order["model"],
                work=WorkOptions(preset=order["preset"], steps=order["steps"]),
                out=order["out"],
                device=order["device"],
                reporter=_Sending(pipe),
            )
        pipe.send(("done", None))
    except KeyboardInterrupt:
        pass
    except Gen3DError as error:
        pipe.send(("failed", str(error)))
    except Exception as error:
        pipe.send(("failed", f"unexpected {type(error).__name__}: {error}"))
