"""The public surface, and nothing else: the one list of it, which type checkers read, and `__init__.py` too."""

from gen3d_tools.cameras.camera import Camera as Camera
from gen3d_tools.cameras.formats import load_cameras as load_cameras
from gen3d_tools.cameras.paths import front_circle as front_circle
from gen3d_tools.cameras.paths import line as line
from gen3d_tools.cameras.paths import orbit as orbit
from gen3d_tools.cameras.paths import spiral as spiral
from gen3d_tools.cameras.paths import wiggle as wiggle
from gen3d_tools.errors import BatchError as BatchError
from gen3d_tools.errors import CheckpointError as CheckpointError
from gen3d_tools.errors import Gen3DError as Gen3DError
from gen3d_tools.errors import InputError as InputError
from gen3d_tools.errors import MissingDependencyError as MissingDependencyError
from gen3d_tools.errors import NotFoundError as NotFoundError
from gen3d_tools.errors import OutOfMemoryError as OutOfMemoryError
from gen3d_tools.fields.field import FunctionField as FunctionField
from gen3d_tools.fields.field import RadianceField as RadianceField
from gen3d_tools.fields.render_config import RenderConfig as RenderConfig
from gen3d_tools.fields.triplane import TriplaneField as TriplaneField
from gen3d_tools.generators.base import Generator as Generator
from gen3d_tools.generators.loading import load_generator as load_generator
from gen3d_tools.geometry.color.rasterize import render_mesh as render_mesh
from gen3d_tools.geometry.color.texture import bake_texture as bake_texture
from gen3d_tools.geometry.extraction.level import choose_level as choose_level
from gen3d_tools.geometry.formats.density_grid import read_density as read_density
from gen3d_tools.geometry.formats.density_grid import write_density as write_density
from gen3d_tools.geometry.formats.export import write_mesh as write_mesh
from gen3d_tools.geometry.formats.point_cloud import PointCloud as PointCloud
from gen3d_tools.geometry.formats.point_cloud import sample_points as sample_points
from gen3d_tools.geometry.formats.point_cloud import write_points as write_points
from gen3d_tools.geometry.mesh import extract_mesh as extract_mesh
from gen3d_tools.geometry.processing.decimation import decimate as decimate
from gen3d_tools.geometry.processing.health import mesh_health as mesh_health
from gen3d_tools.geometry.processing.repair import make_watertight as make_watertight
from gen3d_tools.inversion.api import invert as invert
from gen3d_tools.inversion.results.result import InversionResult as InversionResult
from gen3d_tools.inversion.settings import InversionSettings as InversionSettings
from gen3d_tools.media.images import write_image as write_image
from gen3d_tools.media.video import VideoWriter as VideoWriter
from gen3d_tools.rendering.renderer import Frames as Frames
from gen3d_tools.rendering.renderer import render as render
from gen3d_tools.rendering.renderer import render_frames as render_frames

__version__: str
