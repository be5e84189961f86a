"""Work in the background of a session: a bar on the page, a button to cancel, and nothing left behind."""

import threading
from collections.abc import Callable

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.page import Page


class Cancelled(Exception):  # noqa: N818
    """Somebody wants a job to end."""


class Job:
    """One piece of work, as it sees itself."""

    def __init__(self, what: str, page: Page) -> None:
        self.what = what
        self.cancelled = threading.Event()
        self._page = page

    def check(self) -> None:
        """Stop here if the job was cancelled.

        Raises:
            Cancelled: It was.
        """
        if self.cancelled.is_set():
            raise Cancelled

    def report(self, share: float, line: str = "") -> None:
        """Show how far the work is, 0..1, or stop here.

        Raises:
            Cancelled: The job was cancelled.
        """
        self.check()
        self._page.show_progress(self.what, min(max(share, 0.0), 1.0), line)


class Jobs:
    """The jobs of a session, one of each kind at a time.

    Args:
        page: Shows the bars.
        failed: Takes what went wrong.
    """

    def __init__(self, page: Page, failed: Callable[[Exception], None]) -> None:
        self._page, self._failed = page, failed
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Job, threading.Thread]] = {}
        self._closed = False

    def begin(self, what: str, work: Callable[[Job], None], *, anew: bool = False) -> None:
        """Do work in a thread.

        Args:
            what: Its name on the page.
            work: Gets the job.
            anew: Cancel one of that name that is under way, instead of refusing.

        Raises:
            InputError: One of that name is under way.
        """
        job = Job(what, self._page)
        with self._lock:
            if self._closed:
                return
            earlier = self._running.get(what)
            if earlier is not None and not anew:
                raise InputError(f"{what} is under way already; wait for it, or cancel it")
            after = None if earlier is None else earlier[1]
            if earlier is not None:
                earlier[0].cancelled.set()
            thread = threading.Thread(target=self._run, args=(job, work, after), name=f"gen3d-{what}", daemon=True)
            self._running[what] = job, thread
        self._page.show_progress(what, 0.0)
        thread.start()

    def cancel(self, what: str) -> None:
        """Ask a job to end; nothing happens if there is none."""
        found = self._running.get(what)
        if found is not None:
            found[0].cancelled.set()

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the jobs under way."""
        return tuple(self._running)

    def wait(self, seconds: float = 600.0) -> None:
        """Wait until all jobs are over."""
        for _, thread in list(self._running.values()):
            thread.join(seconds)

    def close(self) -> None:
        """Cancel all jobs and begin no more."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for job, _ in running:
            job.cancelled.set()
        for _, thread in running:
            if thread is not threading.current_thread():
                thread.join(10)

    def _run(self, job: Job, work: Callable[[Job], None], after: threading.Thread | None) -> None:
        try:
            if after is not None:
                after.join()
            job.check()
            work(job)
        except Cancelled:
            pass
        except Exception as error:  # it is told, and the session goes on
            self._failed(error)
        finally:
            with self._lock:
                is_last = self._running.get(job.what, (None,))[0] is job
                if is_last:
                    del self._running[job.what]
            if is_last:
                self._page.show_progress(job.what, None)
