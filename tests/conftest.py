"""What every test may rely on: marked tests are skipped where their hardware or files are missing."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.support.shapes import begin_test, checking_some_calls

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line does, before torch is imported
sys.dont_write_bytecode = False  # tests start a hundred processes, each of which would compile the package anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if "PYTEST_XDIST_WORKER" in os.environ:  # another process has the other core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW = 2.0
"""Seconds of a processor from which on a test that lacks the mark is named; what has it takes .8 and more, mostly."""


def _check_shapes() -> None:
    """Have the shapes in signatures checked while the tests run; users run unchecked code.

    A check takes longer than many a function that has no shapes: only modules that name any are checked.
    """
    jaxtyping.jaxtyped = checking_some_calls(jaxtyping.jaxtyped)
    package = find_spec("gen3d_tools")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent
    modules = [path for path in sorted(folder.rglob("*.py")) if "jaxtyping" in path.read_text("utf-8")]
    names = [".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in modules]
    jaxtyping.install_import_hook(names, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


_check_shapes()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        _long_files_first(items)
    for item in items:
        if "open3d" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.libraries)
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("checkpoint") and not os.environ.get("GEN3D_CHECKPOINTS"):
            item.add_marker(pytest.mark.skip(reason="needs published weights: set GEN3D_CHECKPOINTS to their folder"))


def _long_files_first(items: list[pytest.Item]) -> None:
    """Of several processes none is left alone with a long file in the end; kernels are compiled in one of them.

    The other one has a file meanwhile that needs none: both would compile the same.
    """
    first = ("test_warm.py", "test_hostile.py")
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    places = {name: place for place, name in enumerate(first)}
    items.sort(key=lambda item: (places.get(item.path.name, len(first)), -slow[item.path]))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Each test draws the same of torch's own random numbers, whichever tests ran before it in its process."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _library_logging() -> Iterator[None]:
    """Each test begins with the library's logging as an import leaves it: a command sets it up for its process."""
    logger = logging.getLogger("gen3d_tools")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
    yield
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    """``memory://`` is one file system for the whole process: no test finds what another left there."""
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check the shapes of this test's first calls."""
    begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note how much of a processor a test and its child processes take; on a busy machine that says more than time."""
    before = sum(os.times()[:4])
    result = yield
    if item.get_closest_marker("slow") is None:
        item.user_properties.append(("processor seconds", sum(os.times()[:4]) - before))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that lack the mark."""
    for report in terminalreporter.stats.get("passed", []):
        seconds = dict(report.user_properties).get("processor seconds", 0)
        if seconds > SLOW:
            terminalreporter.write_line(f"to be marked slow: {report.nodeid}, {seconds:.1f} s of a processor")


@pytest.fixture(scope="session")
def open3d():
    """The module; skips where a library is missing that only the system can bring, never for what pip brings."""
    from gen3d_tools.errors import MissingDependencyError
    from gen3d_tools.system_libraries import import_open3d

    try:
        return import_open3d()
    except MissingDependencyError as error:
        if "pip install" in str(error) or "libusb" in str(error):
            raise
        pytest.skip(str(error))


def make_tiny_generator():
    """A class-conditional generator with random weights, small enough for every test."""
    import torch

    from gen3d_tools.cameras.distributions.named import FixedCamera, UniformSphere
    from gen3d_tools.fields.render_config import RenderConfig
    from gen3d_tools.generators.families.geometry_aware import GeometryAwareConfig, GeometryAwareGenerator
    from gen3d_tools.generators.settings import ModelSettings

    config = GeometryAwareConfig(
        z_dim=8,
        w_dim=16,
        num_classes=2,
        embed_dim=4,
        mapping_lr_multiplier=1.0,
        plane_resolution=16,
        plane_channels=4,
        channel_base=256,
        channel_max=16,
        decoder_hidden=(8, 8),
        density_gain=100.0,
        box_side=1.0,
        bounded=True,
    )
    settings = ModelSettings(
        render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=12, fine_samples=8, background="white"),
        camera_distribution=UniformSphere(radius=2.7, fov_y_deg=20.0, pitch_min_deg=-10.0, pitch_max_deg=60.0),
        default_view=FixedCamera(radius=2.7, fov_y_deg=20.0, yaw_deg=35.0, pitch_deg=22.0),
        iso_level=10.0,
        class_names=("ball", "cube"),
        licence="Apache-2.0",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = GeometryAwareGenerator(config, settings).eval().requires_grad_(False)
        mapping = generator.backbone.mapping
        mapping.w_avg.copy_(torch.randn_like(mapping.w_avg))
        for _, _, block in generator.backbone.synthesis.blocks():  # fresh extra blocks are silent; let them speak
            block.torgb.weight.normal_()
    return generator


@pytest.fixture(scope="session")
def tiny_generator():
    """The generator of `make_tiny_generator`. It stays as it is."""
    return make_tiny_generator()


@pytest.fixture(scope="session")
def tiny_folder(tiny_generator, tmp_path_factory):
    """`tiny_generator` on disk. Copy it before changing anything."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_generator.save(folder)
    return folder


@pytest.fixture(scope="module")
def coarse_occupancy_grid():
    """Rays through the bundled model need no fine lattice to find their way; making it costs more than small pictures.

    For tests of what is made of pictures; that they are right is tested with the lattice that users get.
    """
    from gen3d_tools.kernels.rays import occupancy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occupancy, "CELLS", 32)
        yield


@pytest.fixture(scope="module")
def few_pixels(coarse_occupancy_grid):
    """Few pixels in what commands draw by the way: for a mesh's colours and level, for the overview of a result.

    For tests of what becomes of them; the pictures that a test asks for have the size that it says.
    """
    from gen3d_tools.geometry.color import view_colors
    from gen3d_tools.geometry.extraction import level
    from gen3d_tools.inversion.results import overview, storage

    ring_of_views = level._ring_of_views
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_colors, "_PICTURE_RESOLUTION", 32)
        patch.setattr(level, "_ring_of_views", lambda field, views, pixels: ring_of_views(field, 3, 12))
        patch.setattr(overview, "_SIZE", 32)
        patch.setattr(storage, "_PROBE_SIZE", 32)
        yield


@pytest.fixture
def few_mean_cameras(monkeypatch):
    """3DGP's mean camera of a few samples, where it is of no account; many are most of a conversion's time."""
    from gen3d_tools.generators.official import threedgp as official_threedgp

    monkeypatch.setattr(official_threedgp, "MEAN_CAMERA_SAMPLES", 16)
