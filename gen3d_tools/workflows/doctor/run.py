"""`gen3d doctor`: what of this machine works, and the fix for each thing that does not.

Nothing heavy is imported at the top: here a failed import is a finding, not a crash. Each check gives
lines of the report; one that needs what an earlier one found broken says so.
"""

import errno
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from gen3d_tools.errors import Gen3DError, MissingDependencyError
from gen3d_tools.system_libraries import import_open3d, library_fix
from gen3d_tools.workflows.running.reporting import Reporter

PACKAGE = "gen3d-tools"
MODEL = "shapes"
PICTURE_SIZE = 16  # pixels of the trial picture
SPACE_NEEDED = 200_000_000  # bytes free; a demo writes 5 MB, a long film or a fine mesh a hundred
TRIAL_BYTES = 1_000_000  # written to a folder to see that it takes them
ENCODERS = {"libx264": ".mp4", "libvpx-vp9": ".webm"}

MODULES = {
    "pillow": "PIL",
    "pymcubes": "mcubes",
    "pyyaml": "yaml",
}  # where a package and its module differ by more than - and _
PURPOSES = {
    "rembg": "removing a photo's background",
    "pillow-heif": "HEIC photos",
    "onnxruntime": "invert --background FILE.onnx",
    "mrcfile": ".mrc volumes",
    "ray": "--ray, work on many machines",
    "s3fs": "outputs to s3://",
    "webdataset": "sample --shards",
    "pyarrow": "the index of sample --shards",
    "matplotlib": "the plots of gen3d eval -o",
    "torch-fidelity": "gen3d eval --against",
}
"""What each package of the extras is for."""

ELSEWHERE = ("open3d", "open3d-cpu", "libusb-package")  # examined on a line of their own
FFMPEG_SERVES = "imageio-ffmpeg brings it to write videos, imageio to read them and to write pictures"
OPEN3D_SERVES = "for mesh --surface fusion, eval meshes --against and examples/shapes/evaluate.py, nothing else"

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?[>=]=(?P<least>[\d.]+)(?:.*extra == '(?P<extra>\w+)')?")


class Status(StrEnum):
    """How a line of the report ends."""

    OK = "ok"
    OPTIONAL = "optional"  # not installed, needed only for what the line says
    WARNING = "warning"  # the main jobs run, something else does not
    MISSING = "missing"  # a needed dependency is not there or does not run
    FAILED = "failed"  # something else that is needed does not work


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report."""

    name: str
    status: Status
    found: str
    fix: str = ""  # what to do about it; empty only where nothing is wrong


@dataclass(frozen=True)
class Report:
    """Everything that was looked at."""

    checks: tuple[Check, ...]

    def count(self, status: Status) -> int:
        """Count the lines that end so."""
        return sum(check.status is status for check in self.checks)

    @property
    def exit_code(self) -> int:
        """0 = what is needed works, 5 = a needed dependency is missing, 1 = something else failed."""
        if self.count(Status.MISSING):
            return MissingDependencyError.exit_code
        return Gen3DError.exit_code if self.count(Status.FAILED) else 0

    def record(self) -> dict[str, Any]:
        """Give the report as plain JSON values."""
        return {"exit_code": self.exit_code, "checks": [asdict(check) for check in self.checks]}


def doctor(reporter: Reporter | None = None, *, compile_ahead: bool = False) -> Report:
    """Examine this machine; nothing is asked of the network.

    Args:
        reporter: Shows the progress.
        compile_ahead: Compile every kernel that is not on disk; otherwise nothing is changed.
    """
    checks: list[Check] = []
    examinations = (*EXAMINATIONS, _compiled_ahead if compile_ahead else _compiled)
    with (reporter or Reporter()).progress("examining", len(examinations)) as done:
        for number, examine in enumerate(examinations, start=1):
            checks.extend(examine())
            done(number)
    return Report(tuple(checks))


def _python() -> Iterator[Check]:
    yield Check(name="python", status=Status.OK, found=f"{platform.python_version()} ({sys.executable})")


def _packages() -> Iterator[Check]:
    """Import every package a bare installation brings; pyproject's list is the one that counts."""
    try:
        required = [match for line in requires(PACKAGE) or () if (match := _REQUIREMENT.match(line))]
        yield Check(name=PACKAGE, status=Status.OK, found=f"{version(PACKAGE)} ({Path(__file__).parents[2]})")
    except PackageNotFoundError:
        yield Check(name=PACKAGE, status=Status.FAILED, found="not installed, only lying here", fix="pip install .")
        return
    needed = [match for match in required if not match["extra"] and match["name"] not in ELSEWHERE]
    checks = [_package(match["name"], match["least"]) for match in needed]
    fine = [f"{check.name} {check.found}" for check in checks if check.status is Status.OK]
    yield Check(name="packages", status=Status.OK, found=", ".join(fine))
    yield from (check for check in checks if check.status is not Status.OK)


def _package(name: str, least: str) -> Check:
    """Import one needed package and compare its version."""
    try:
        importlib.import_module(MODULES.get(name.lower(), name.replace("-", "_")))
        found = version(name)
    except ModuleNotFoundError as error:  # of the package, or of one it needs
        return Check(name=name, status=Status.MISSING, found=str(error), fix=f'pip install "{name}>={least}"')
    except Exception as error:  # whatever a broken package raises is the finding
        fix = library_fix(str(error)) or f'pip install --force-reinstall "{name}>={least}"'
        return Check(name=name, status=Status.MISSING, found=_one_line(f"cannot be imported: {error}"), fix=fix)
    if _release(found) < _release(least):
        old = f"{found}, older than {least}"
        return Check(name=name, status=Status.MISSING, found=old, fix=f'pip install "{name}>={least}"')
    return Check(name=name, status=Status.OK, found=found)


def _device() -> Iterator[Check]:
    """Say which torch this is and where it computes."""
    try:
        import torch
    except (ImportError, OSError):
        return  # `_packages` has told
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "ROCm" if torch.version.hip else "CPU"
    build += " and MPS" if torch.backends.mps.is_built() else ""
    found = f"torch {torch.__version__} ({build} build) computes on "
    if torch.cuda.is_available():
        yield Check(name="device", status=Status.OK, found=f"{found}cuda: {torch.cuda.get_device_name()}")
    elif torch.backends.mps.is_available():
        yield Check(name="device", status=Status.OK, found=f"{found}mps")
    else:
        found += f"the CPU with {torch.get_num_threads()} of {os.cpu_count()} threads"
        idle = shutil.which("nvidia-smi") is not None
        fix = "install torch for your CUDA version (see pytorch.org/get-started), or update the driver" if idle else ""
        gpu = "; an NVIDIA driver is here, but torch does not reach the GPU" if idle else ""
        yield Check(name="device", status=Status.WARNING if idle else Status.OK, found=found + gpu, fix=fix)


def _open3d() -> Iterator[Check]:
    """Import the one package that needs system libraries which bare containers lack."""
    try:
        found = (
            f"{import_open3d().__version__}, system libraries found (libusb may be libusb-package's); {OPEN3D_SERVES}"
        )
        yield Check(name="open3d", status=Status.OK, found=found)
    except MissingDependencyError as error:
        found, _, fix = str(error).rpartition("; ")
        yield Check(name="open3d", status=Status.WARNING, found=f"{found}; {OPEN3D_SERVES}", fix=fix)


def _extras() -> Iterator[Check]:
    """See which optional packages are installed, without the seconds their imports take."""
    try:
        lines = requires(PACKAGE) or ()
    except PackageNotFoundError:
        return  # `_packages` has told
    found = [match for line in lines if (match := _REQUIREMENT.match(line)) and match["extra"] not in (None, "dev")]
    extra_of = {match["name"]: match["extra"] for match in found}
    for name, purpose in PURPOSES.items():
        what = f'"{PACKAGE}[{extra_of[name]}]"' if name in extra_of else name  # an older installation may not list it
        yield _optional(name, purpose, f"pip install {what}")
    yield _optional("lpips", "the loss of that name in inversion", "pip install lpips")


def _optional(name: str, purpose: str, fix: str) -> Check:
    try:
        return Check(name=name, status=Status.OK, found=version(name))
    except PackageNotFoundError:
        return Check(name=name, status=Status.OPTIONAL, found=f"not installed, for {purpose}", fix=fix)


def _faces() -> Iterator[Check]:
    """Say which face detector is here, without loading it."""
    try:
        from gen3d_tools.perception.faces.finding import ADVICE, detector_found
    except (ImportError, OSError):
        return  # `_packages` has told
    try:
        found = detector_found()
    except Gen3DError as error:
        yield Check(name="face detector", status=Status.WARNING, found=str(error), fix=ADVICE)
        return
    if found:
        yield Check(name="face detector", status=Status.OK, found=f"{found}; for gen3d align")
    else:
        missing = "none, for gen3d align without --landmarks"
        yield Check(name="face detector", status=Status.OPTIONAL, found=missing, fix=ADVICE)


def _ffmpeg() -> Iterator[Check]:
    """Start the program that encodes videos and ask for its encoders."""
    fix = "pip install --force-reinstall imageio-ffmpeg"
    if os.environ.get("IMAGEIO_FFMPEG_EXE"):
        fix = "unset IMAGEIO_FFMPEG_EXE, which names the program to use"
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        program = str(get_ffmpeg_exe())
        about = _output([program, "-version"]).split(" Copyright")[0].removeprefix("ffmpeg version ")
        encoders = _output([program, "-hide_banner", "-encoders"]).split()
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        yield Check(name="ffmpeg", status=Status.MISSING, found=_one_line(f"does not run: {error}"), fix=fix)
        return
    lacking = {encoder: suffix for encoder, suffix in ENCODERS.items() if encoder not in encoders}
    if lacking:
        found = f"{about} lacks {', '.join(lacking)}, so no {', '.join(lacking.values())}"
        yield Check(name="ffmpeg", status=Status.MISSING, found=found, fix=fix)
    else:
        yield Check(name="ffmpeg", status=Status.OK, found=f"{about} with {', '.join(ENCODERS)}; {FFMPEG_SERVES}")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def _places() -> Iterator[Check]:
    yield _place("this folder", Path.cwd, "go to a folder of your own, or name one with -o")
    yield _place("temporary folder", lambda: Path(tempfile.gettempdir()), "set TMPDIR to a folder that takes files")


def _place(name: str, find: Callable[[], Path], fix: str) -> Check:
    """Write a little into a folder, and see how much more would fit."""
    try:
        folder = find()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIAL_BYTES))
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Check(name=name, status=Status.FAILED, found="the disk is full", fix=f"free some space, or {fix}")
        return Check(name=name, status=Status.FAILED, found=f"takes no files: {error.strerror or error}", fix=fix)
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < SPACE_NEEDED:
        fix = f"free some space ({SPACE_NEEDED / 1e6:.0f} MB are enough), or {fix}"
        return Check(name=name, status=Status.FAILED, found=found, fix=fix)
    return Check(name=name, status=Status.OK, found=found)


def _weights() -> Iterator[Check]:
    """Load the bundled model as every command does, and draw one small picture with it."""
    name = f"model {MODEL}"
    reinstall = f"pip install --force-reinstall {PACKAGE} (in a checkout: git checkout -- weights)"
    try:
        from gen3d_tools.generators.loading import load_generator
        from gen3d_tools.generators.source import find_source
        from gen3d_tools.rendering.renderer import render
    except (ImportError, OSError) as error:
        found = _one_line(f"cannot be tried: {error}")
        yield Check(name=name, status=Status.FAILED, found=found, fix="mend the packages above first")
        return
    try:
        generator = load_generator(MODEL)
        [field] = generator.fields(generator.latents([0]))
        picture = render(field, generator.default_camera(), resolution=PICTURE_SIZE).rgb
        whole = bool(picture.isfinite().all())
    except Gen3DError as error:
        yield Check(name=name, status=Status.FAILED, found=str(error), fix=reinstall)
    except Exception as error:  # drivers, memory, operations a device lacks: whatever it is, is the finding
        found = _one_line(f"draws nothing: {type(error).__name__}: {error}")
        fix = f"see where with GEN3D_TRACEBACK=1 gen3d sample {MODEL}; on a GPU, try --device cpu"
        yield Check(name=name, status=Status.FAILED, found=found, fix=fix)
    else:
        source = find_source(MODEL)
        found = f"{len(generator.class_names)} classes, sha256 {source.digest()[:12]}…, {source.path}"
        broken = "" if whole else "its trial picture holds NaN or infinity; "
        status = Status.OK if whole else Status.FAILED
        yield Check(name=name, status=status, found=broken + found, fix="" if whole else reinstall)


def _hub() -> Iterator[Check]:
    """Say where models from the Hugging Face hub are kept, and whether it may be asked for more."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return  # `_packages` has told
    cache = Path(constants.HF_HUB_CACHE)
    network = "offline (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else "downloads allowed"
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        yield Check(name="hub cache", status=Status.OK, found=f"{cache}, {network}")
    else:
        found = f"{cache} is not writable, so nothing can be downloaded"
        yield Check(name="hub cache", status=Status.WARNING, found=found, fix="set HF_HOME to a folder of your own")


def _compiled() -> Iterator[Check]:
    """Say whether the kernels are compiled, without compiling any that the trial picture did not need."""
    try:
        from gen3d_tools.workflows.warm import KERNELS, kernel_folder, missing_kernels

        missing, folder = missing_kernels(), kernel_folder()
    except (ImportError, OSError):
        return  # `_packages` has told
    if folder is None:
        fix = "name a folder in NUMBA_CACHE_DIR"
        found = "no folder for compiled code can be written, so every run compiles anew"
        yield Check(name="compiled code", status=Status.WARNING, found=found, fix=fix)
        return
    found = f"{len(KERNELS) - len(missing)} of {len(KERNELS)} parts in {folder}"
    found += "; the others are compiled when they are used first (--warm: now)" if missing else ""
    yield Check(name="compiled code", status=Status.OK, found=found)


def _compiled_ahead() -> Iterator[Check]:
    """Compile every kernel."""
    try:
        from gen3d_tools.workflows.warm import warm

        warm()
    except (ImportError, OSError) as error:
        found = _one_line(f"cannot be compiled ahead: {error}")
        yield Check(name="compiled code", status=Status.FAILED, found=found, fix="mend the packages above first")
    except Exception as error:  # whatever the trial picture met
        found = _one_line(f"cannot be compiled ahead: {error}")
        yield Check(name="compiled code", status=Status.FAILED, found=found, fix="mend the model above first")
    else:
        yield from _compiled()


def _one_line(text: str, longest: int = 240) -> str:
    """Fold an error of any form into one line."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _release(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: 2.13.0+cpu -> (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.match(r"[\d.]*", text)[0]))  # type: ignore[index]


EXAMINATIONS: tuple[Callable[[], Iterator[Check]], ...] = (
    _python,
    _packages,
    _device,
    _open3d,
    _extras,
    _faces,
    _ffmpeg,
    _places,
    _weights,
    _hub,
)
