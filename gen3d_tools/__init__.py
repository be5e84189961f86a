"""Images, videos and meshes from trained 3D-aware GANs.

The public surface, and nothing else. Every name is imported on first use, so that `import gen3d_tools`
and `gen3d --help` do not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gen3d_tools.cameras.camera import Camera
    from gen3d_tools.cameras.formats import load_cameras
    from gen3d_tools.cameras.paths import front_circle, line, orbit, spiral, wiggle
    from gen3d_tools.errors import (
        BatchError,
        CheckpointError,
        Gen3DError,
        InputError,
        MissingDependencyError,
        NotFoundError,
        OutOfMemoryError,
    )
    from gen3d_tools.fields.field import FunctionField, RadianceField
    from gen3d_tools.fields.render_config import RenderConfig
    from gen3d_tools.fields.triplane import TriplaneField
    from gen3d_tools.generators.base import Generator
    from gen3d_tools.generators.loading import load_generator
    from gen3d_tools.geometry.formats.export import write_mesh
    from gen3d_tools.geometry.mesh import extract_mesh
    from gen3d_tools.inversion.api import invert
    from gen3d_tools.inversion.results.result import InversionResult
    from gen3d_tools.inversion.settings import InversionSettings
    from gen3d_tools.media.images import write_image
    from gen3d_tools.media.video import VideoWriter
    from gen3d_tools.rendering.renderer import Frames, render, render_frames

__version__ = "0.1.0"

__all__ = [
    "BatchError",
    "Camera",
    "CheckpointError",
    "Frames",
    "FunctionField",
    "Gen3DError",
    "Generator",
    "InputError",
    "InversionResult",
    "InversionSettings",
    "MissingDependencyError",
    "NotFoundError",
    "OutOfMemoryError",
    "PointCloud",
    "RadianceField",
    "RenderConfig",
    "TriplaneField",
    "VideoWriter",
    "__version__",
    "bake_texture",
    "choose_level",
    "decimate",
    "extract_mesh",
    "front_circle",
    "invert",
    "line",
    "load_cameras",
    "load_generator",
    "make_watertight",
    "mesh_health",
    "orbit",
    "read_density",
    "render",
    "render_frames",
    "render_mesh",
    "sample_points",
    "spiral",
    "wiggle",
    "write_density",
    "write_image",
    "write_mesh",
    "write_points",
]

_NAMES_OF_MODULE = {
    "cameras.camera": ("Camera",),
    "cameras.formats": ("load_cameras",),
    "cameras.paths": ("front_circle", "line", "orbit", "spiral", "wiggle"),
    "errors": (
        "BatchError",
        "CheckpointError",
        "Gen3DError",
        "InputError",
        "MissingDependencyError",
        "NotFoundError",
        "OutOfMemoryError",
    ),
    "fields.field": ("FunctionField", "RadianceField"),
    "fields.render_config": ("RenderConfig",),
    "fields.triplane": ("TriplaneField",),
    "generators.base": ("Generator",),
    "generators.loading": ("load_generator",),
    "geometry.processing.decimation": ("decimate",),
    "geometry.formats.density_grid": ("read_density", "write_density"),
    "geometry.formats.export": ("write_mesh",),
    "geometry.processing.health": ("mesh_health",),
    "geometry.extraction.level": ("choose_level",),
    "geometry.mesh": ("extract_mesh",),
    "geometry.formats.point_cloud": ("PointCloud", "sample_points", "write_points"),
    "geometry.color.rasterize": ("render_mesh",),
    "geometry.processing.repair": ("make_watertight",),
    "geometry.color.texture": ("bake_texture",),
    "inversion.api": ("invert",),
    "inversion.results.result": ("InversionResult",),
    "inversion.settings": ("InversionSettings",),
    "media.images": ("write_image",),
    "media.video": ("VideoWriter",),
    "rendering.renderer": ("Frames", "render", "render_frames"),
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULE.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not, beside what is here already."""
    return sorted({*globals(), *__all__})
