"""The engine of many machines: Ray schedules, places and retries; pieces write to storage that all machines share.

Through Ray travel tasks of some hundred bytes and what is told of a piece; its object store is left alone.
"""

import logging
import os
import pickle
import socket
import time
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gen3d_tools.batch.engine import TRIES
from gen3d_tools.batch.pieces import Failure, Made, Piece
from gen3d_tools.batch.worker import Job, limit_threads, make_piece
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError
from gen3d_tools.wording import option

LOCAL = "local"
AUTO = "auto"
REACH_SECONDS = 10.0
"""How long a cluster may take to answer."""
_FRAME_HEADER = 9  # bytes
_SETTINGS = bytes([4, 0])  # its fourth and fifth: the kind of a frame, and no flags
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(4)
"""How HTTP/2 begins on either side, with a frame of settings: RFC 9113, section 3.4. gRPC, which Ray speaks, is HTTP/2.
"""
_LOOK_SECONDS = 5.0  # between two looks at how large the cluster is
_AHEAD = 1.25  # pieces under way for each that can run: one is there when a process becomes free
_SEEN_SECONDS = 60.0  # in which a file of another machine becomes visible, at most


def check_ray(address: str) -> None:
    """Say before any work whether there is a Ray, and a cluster that answers.

    Args:
        address: "local", "auto", or "host:port" of a cluster.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: The address is none.
        Gen3DError: Nobody answers there.
    """
    if find_spec("ray") is None:
        raise MissingDependencyError('Ray is not installed; try: pip install "gen3d-tools[batch]"')
    if address in (LOCAL, AUTO):
        return
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or "://" in address:
        raise InputError(
            f"{address[:80]!r} is no address of a cluster; write host:port as `ray start --head` names it, or {LOCAL}"
        )
    try:
        _greet(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        raise Gen3DError(
            f"no cluster answers at {address} ({error}); start one with `ray start --head --port={port}`, or use "
            f"{option('ray', LOCAL)}"
        ) from error


def connect(address: str, workers: int | None) -> None:
    """Join a cluster, or begin a Ray of this machine.

    Args:
        address: As `check_ray` takes it.
        workers: Processors of a Ray of this machine; None = all.

    Raises:
        Gen3DError: Its versions are others, or it does not answer.
    """
    ray: Any = import_module("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **settings)
    except (RuntimeError, ConnectionError, ValueError) as error:
        raise Gen3DError(f"the cluster at {address} does not take this run: {error}") from error
    # Ray tells of lost processes on stdout, where results are told; there is no public way to keep it from that.
    told: Any = import_module("ray._private.worker")
    told._worker_logs_enabled = False


def _greet(host: str, port: int) -> None:
    """Ask whether a cluster may be at an address: Ray itself waits for minutes where something else listens.

    Raises:
        OSError: Nobody is there, or it is another program.
    """
    end = time.monotonic() + REACH_SECONDS
    with socket.create_connection((host, port), timeout=REACH_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return
        connection.sendall(_GREETING)
        answer = b""
        while len(answer) < _FRAME_HEADER:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            part = connection.recv(_FRAME_HEADER - len(answer))
            answer += part
            if not part or not _SETTINGS.startswith(answer[3:5]):
                raise ConnectionError("what listens there is no Ray")


class RayCluster:
    """A Ray cluster, or a Ray of this machine alone.

    Args:
        job: What all pieces share.
        address: As `check_ray` takes it.
        workers: Most pieces at a time; None = as many as the cluster has processors, or GPUs where they work.
        device: "auto", "cpu" or "cuda": with GPUs in the cluster each worker has one, unless this says "cpu".

    Raises:
        Gen3DError: The cluster does not take us.
    """

    def __init__(self, job: Job, address: str, workers: int | None, device: str) -> None:
        ray: Any = import_module("ray")
        self._ray, self._workers, self._job = ray, workers, job
        connect(address, workers)
        gpus = ray.cluster_resources().get("GPU", 0) if device != "cpu" else 0
        if not gpus and device.startswith("cuda"):
            ray.shutdown()
            raise InputError(f"the cluster at {address} has no GPU; leave {option('device')} out, or say cpu")
        self._resource = "GPU" if gpus else "CPU"
        self._device = "cuda" if gpus else "cpu"
        self._looked, self._size = 0.0, 1
        needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        self._make = ray.remote(**needs, max_retries=TRIES - 1)(_make_on_cluster)
        self._refs: dict[Future[Made], Any] = {}
        self._seen = False

    @property
    def slots(self) -> int:
        """How many pieces the cluster takes at a time; it may grow and shrink."""
        now = time.monotonic()
        if not self._looked or now - self._looked > _LOOK_SECONDS:
            self._looked = now
            room = int(self._ray.cluster_resources().get(self._resource, 0))
            self._size = max(1, self._workers or int(room * _AHEAD))
        return self._size

    def submit(self, piece: Piece) -> "Future[Made]":
        """Begin a piece, where Ray finds a place for it."""
        ref = self._make.remote(self._job, self._device, pickle.dumps(piece.task))
        future: Future[Made] = ref.future()
        self._refs[future] = ref
        return future

    def result(self, future: "Future[Made]") -> Made:
        """Give what came of a piece; Ray has tried it again where a process or a machine was lost.

        Raises:
            Gen3DError: What is written elsewhere is not seen here.
        """
        self._refs.pop(future)
        try:
            made = future.result()
        except self._ray.exceptions.RayTaskError as error:  # it could not even begin: another version of the package
            return Made(failure=Failure.of(_as_exception(error), ends_run=True))
        except self._ray.exceptions.RayError as error:
            return Made(failure=Failure(Gen3DError.__name__, f"lost {TRIES} times: {_first_line(error)}", final=True))
        if made.failure is None and not self._seen and self._job.store is None:
            _check_seen(made.files)
            self._seen = True
        return made

    def close(self, *, at_once: bool = False) -> None:
        """Leave the cluster; what is under way is ended."""
        for ref in self._refs.values():
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(ref, force=True)
        self._ray.shutdown()


def _make_on_cluster(job: Job, device: str, task: bytes) -> Made:
    """Make a piece in a process of Ray, which has given it a processor, or a GPU."""
    limit_threads(1)
    return make_piece(job, device, task)


def _as_exception(error: Any) -> Exception:
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else Gen3DError(_first_line(error))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _check_seen(files: Iterable[Path]) -> None:
    """Refuse to go on where other machines write to disks of their own.

    Raises:
        Gen3DError: A file is not there, also after a while: network file systems look again now and then.
    """
    for path in files:
        end = time.monotonic() + _SEEN_SECONDS
        while not path.is_file():
            if time.monotonic() > end:
                raise Gen3DError(
                    f"a machine of the cluster has written {path}, which this machine does not see; write to a folder "
                    "that all of them share, or to a URL such as s3://bucket/folder"
                )
            time.sleep(0.5)
