"""A mesh that shows itself: in one line where it is printed, as a picture where a notebook displays it."""

import io
import math
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.geometry.color.rasterize import render_mesh

_YAWS_DEG, _PITCH_DEG, _FOV_DEG, _SIZE = (30.0, 150.0, 270.0), 20.0, 20.0, 192


class Mesh(trimesh.Trimesh):
    """A `trimesh.Trimesh` in world units, y up, that notebooks draw from three sides."""

    def __repr__(self) -> str:
        """Say it in one line."""
        if not len(self.vertices):
            return "Mesh(empty)"
        size = " x ".join(f"{side:.3g}" for side in np.ptp(np.asarray(self.vertices), axis=0))
        colors = {"vertex": "vertex colours", "face": "face colours", "texture": "a texture"}.get(str(kind_of(self)))
        return f"Mesh({len(self.vertices):,} vertices, {len(self.faces):,} faces, {colors or 'no colours'}, {size})"

    def show(self, viewer: Any = None, *, live: bool = False, **options: Any) -> Any:
        """Show it in a notebook, to be turned: see `gen3d_tools.show`.

        Args:
            viewer: One of trimesh's own, to show it there instead, with its `options`.
            live: See `gen3d_tools.show`.
            options: For trimesh's viewers.
        """
        if viewer is not None:
            return super().show(viewer=viewer, **options)
        import gen3d_tools

        return gen3d_tools.show(self, live=live)

    def _repr_png_(self) -> bytes | None:
        """Draw it; nothing of an empty one."""
        if not len(self.faces):
            return None
        low, high = np.asarray(self.bounds)
        radius = float(np.linalg.norm(high - low)) / 2 / math.sin(math.radians(_FOV_DEG / 2))
        middle = ((low + high) / 2).tolist()
        cameras = Camera.from_spherical(list(_YAWS_DEG), _PITCH_DEG, radius, fov_y_deg=_FOV_DEG, target=middle)
        rgb = render_mesh(self, cameras, _SIZE, shading=kind_of(self) is None).rgb
        strip = (rgb.permute(2, 0, 3, 1).flatten(1, 2) * 255).round().byte().numpy()
        buffer = io.BytesIO()
        Image.fromarray(strip).save(buffer, "PNG")
        return buffer.getvalue()


def kind_of(mesh: trimesh.Trimesh) -> str | None:
    """Give where a mesh has its colours: "vertex", "face", "texture", or None."""
    return None if mesh.visual is None else mesh.visual.kind
