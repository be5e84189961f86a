"""mediapipe's face mesh, where an installed version carries its models (0.10.14 does, 1.2 does not)."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import MissingDependencyError
from gen3d_tools.perception.faces.face import Face

_MODEL = "modules/face_landmark/face_landmark.tflite"
_PLACES = ((33, 133), (362, 263), (1,), (61,), (291,))
"""Points of the mesh behind each of the five: corners of the eyes, tip of the nose, corners of the mouth."""

_MOST_FACES = 10


class FaceMesh:
    """The five points out of mediapipe's 468."""

    name = "mediapipe face mesh"

    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> list[Face]:
        """Find the faces in a picture in [0, 1], largest first.

        Raises:
            MissingDependencyError: mediapipe does not run here.
        """
        try:
            from mediapipe.python.solutions.face_mesh import FaceMesh as Mesh
        except (ImportError, OSError) as error:
            raise MissingDependencyError(
                f"mediapipe is installed and does not run ({error}); pip install --no-deps facenet-pytorch instead"
            ) from error
        picture = (rgb.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
        with Mesh(static_image_mode=True, max_num_faces=_MOST_FACES) as mesh:
            found = mesh.process(np.ascontiguousarray(picture)).multi_face_landmarks or []
        size = torch.tensor([rgb.shape[-1], rgb.shape[-2]], dtype=torch.float32)
        faces = [_face(torch.tensor([[one.x, one.y] for one in face.landmark]) * size) for face in found]
        return sorted(faces, key=lambda face: -face.extent)


def _face(mesh: Float[Tensor, "n 2"]) -> Face:
    points = torch.stack([mesh[list(places)].mean(dim=0) for places in _PLACES])
    left, top, right, bottom = (float(v) for v in (*mesh.amin(dim=0), *mesh.amax(dim=0)))
    return Face(points, (left, top, right, bottom), 1.0)


def has_models() -> bool:
    """Tell whether mediapipe is installed with the models of its face mesh; it is not imported for that."""
    try:
        found = importlib.util.find_spec("mediapipe")
    except ValueError:  # what `sys.modules` says of a module that must not be imported
        return False
    places = [] if found is None else list(found.submodule_search_locations or ())
    return any((Path(place) / _MODEL).is_file() for place in places)
