"""A reader that does what no reader may, by the name of the file: it shows that the harness would see it."""

import logging
import os
import socket
import subprocess
import time
from pathlib import Path

from gen3d_tools.errors import InputError
from tests.fuzz.harness import Files, Format, only


class Loud(InputError):
    """An error that writes a file's words as they are, which ours do not."""

    def __init__(self, words: str) -> None:
        super().__init__("loud")
        self.words = words

    def __str__(self) -> str:
        return self.words


DEEDS = (
    *(
        "fine",
        "refuse",
        "raise",
        "flood",
        "colour",
        "spin",
        "wait",
        "eat",
        "claim",
        "crash",
        "leave",
        "write",
        "remove",
    ),
    *("peek", "import", "exec", "run", "connect"),
)


def read(folder: Path) -> object:
    path = only(folder)
    deed = path.read_bytes().decode()
    match deed:
        case "refuse":
            raise InputError("not like this; try another")
        case "raise":
            return [][1]
        case "flood":
            raise Loud("x" * 5000)
        case "colour":
            raise Loud("a \x1b[31mred\x1b[0m name")
        case "spin":
            while True:
                pass
        case "wait":
            time.sleep(100)
        case "eat":
            return len(b"\x01" * (64 << 20))
        case "claim":
            return bytearray(64 << 30)
        case "crash":
            os.kill(os.getpid(), 11)
        case "leave":
            os._exit(0)
        case "write":
            (folder / "more").write_bytes(b"")
        case "remove":
            path.unlink()
        case "peek":
            return Path("/etc/hostname").exists() and open("/etc/hostname").read()
        case "import":
            import this  # noqa: F401
        case "exec":
            exec("1")
        case "run":
            subprocess.run(["true"])
        case "connect":
            with socket.socket() as plug:
                plug.connect_ex(("127.0.0.1", 9))
    return logging.NOTSET


def deeds() -> list[tuple[str, Files]]:
    return [(deed, {"deed": deed.encode()}) for deed in DEEDS]


FORMATS = [
    Format(
        name="misbehaving",
        corpus=lambda: [{"deed": b"fine"}],
        read=read,
        extra=deeds,
        seconds=0.2,
        memory=20 << 20,
    )
]
