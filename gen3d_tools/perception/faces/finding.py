"""Which face detector is on this machine. Nothing is downloaded; the message says how to get one."""

import importlib.util
import os
from pathlib import Path

from gen3d_tools.errors import MissingDependencyError, NotFoundError
from gen3d_tools.perception.faces.face import FaceDetector
from gen3d_tools.perception.faces.mtcnn_networks import NETWORK_FILES

MTCNN_FOLDER = "GEN3D_MTCNN"
"""Environment variable that names a folder with the three files of MTCNN."""

INSTALL = "pip install --no-deps facenet-pytorch"
"""Brings the three files (MIT licence). Its pins ask for an old torch, which reading tensors does not need."""

ADVICE = f"{INSTALL} (its three small networks are read, its code is not run), or set {MTCNN_FOLDER} to their folder"


def mtcnn_folder() -> Path | None:
    """Find the folder with MTCNN's files: the one that is named, or that of an installed facenet-pytorch.

    Raises:
        NotFoundError: A folder is named, and the files are not in it.
    """
    named = os.environ.get(MTCNN_FOLDER)
    if named:
        missing = [name for name in NETWORK_FILES if not (Path(named) / name).is_file()]
        if missing:
            raise NotFoundError(
                f"{MTCNN_FOLDER} names {named}, where {', '.join(missing)} is not; name the folder with "
                f"{', '.join(NETWORK_FILES)}"
            )
        return Path(named)
    try:
        package = importlib.util.find_spec("facenet_pytorch")  # found, not imported
    except ValueError:  # what `sys.modules` says of a module that must not be imported
        return None
    for place in [] if package is None else package.submodule_search_locations or ():
        folder = Path(place) / "data"
        if all((folder / name).is_file() for name in NETWORK_FILES):
            return folder
    return None


def detector_found() -> str:
    """Name the detector that would be used; empty if there is none.

    Raises:
        NotFoundError: A folder is named, and MTCNN's files are not in it.
    """
    from gen3d_tools.perception.faces.face_mesh import has_models

    folder = mtcnn_folder()
    if folder is not None:
        return f"mtcnn, {folder}"
    return "mediapipe face mesh" if has_models() else ""


def find_detector() -> FaceDetector:
    """Load the detector that is here: MTCNN's files first, then mediapipe's face mesh.

    Raises:
        MissingDependencyError: There is none.
        NotFoundError: A folder is named, and MTCNN's files are not in it.
        CheckpointError: A file of MTCNN's is damaged, or holds another network.
    """
    from gen3d_tools.perception.faces.face_mesh import FaceMesh, has_models
    from gen3d_tools.perception.faces.mtcnn import Mtcnn

    folder = mtcnn_folder()
    if folder is not None:
        return Mtcnn(folder)
    if has_models():
        return FaceMesh()
    raise MissingDependencyError(f"no face detector is here; run: {ADVICE}, or give the five points by --landmarks")
