"""Textured models that artists made, as the sets of furniture of Sweet Home 3D hold them: read, turned upright, drawn.

A set is an unpacked .sh3f file: `PluginFurnitureCatalog.properties` and the OBJ files that it names. Debian's package
sweethome3d-furniture brings five; KatorLegaz (CC-BY 3.0), BlendSwap-CC-0 and BlendSwap-CC-BY are those to look at.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.geometry.color.vertex_colors import sample_texture, texture_of
from gen3d_tools.kernels.meshes.raster import rasterize
from gen3d_tools.kernels.raster import Fragments

CATALOGUE = "PluginFurnitureCatalog.properties"
CLASSES = {
    "chair": (r"chair|stool", r"wheel|cushion|ottoman"),
    "lamp": (r"\blamp|lamppost|hanging light|park light", r"wall|artwork"),
    "mug": (r"\bcup$|\bmug", r"cake"),
    "tree": (r"\btree", r"^$"),
    "car": (r"\bcar\b|truck", r"^$"),
}
"""What a model's name says (a regular expression), and what it must not."""

REACH = 0.46  # of a model's farthest point from its middle, world units: whole in every picture of the generator's
SUN = (0.4, 0.75, 0.55)
SUN_SHARE, SKY_SHARE, GROUND_SHARE = 0.65, 0.45, 0.2  # of the light on a face that is turned to it
GREY = 0.7
RIM = 0.02  # of the corners of a mug, the highest: they lie around its axis
FAR = 0.9  # of the way from there to the farthest corner, horizontally: what is farther may be a handle


@dataclass(frozen=True)
class Entry:
    """A model of a set."""

    set_name: str
    number: int
    name: str
    creator: str
    class_name: str
    path: Path

    @property
    def held_out(self) -> bool:
        """A third of the models is for judging alone."""
        return hashlib.sha256(f"{self.set_name}/{self.number}".encode()).digest()[0] % 3 == 0

    def read(self) -> "Model":
        """Read the model, turned as the generator's things of its class are: the handle of a mug points to +x."""
        model = Model.read(self.path)
        return model.with_handle_at_x() if self.class_name == "mug" else model


def read_set(folder: Path, classes: Mapping[str, tuple[str, str]] = CLASSES) -> list[Entry]:
    """List the models of a set that are of a class of ours, or of those given."""
    text = (folder / CATALOGUE).read_text(encoding="latin-1")
    found = dict(re.findall(r"^(\w+#\d+)=(.*)$", text, re.MULTILINE))
    entries = []
    for number in range(1, 1 + sum(key.startswith("name#") for key in found)):
        name = found.get(f"name#{number}", "").strip()
        for class_name, (words, others) in classes.items():
            if re.search(words, name, re.IGNORECASE) and not re.search(others, name, re.IGNORECASE):
                path = folder / found[f"model#{number}"].strip().lstrip("/")
                creator = found.get(f"creator#{number}", "").strip()
                entries.append(Entry(folder.name, number, name, creator, class_name, path))
                break
    return entries


@dataclass(frozen=True, eq=False)
class Model:
    """A model in the generator's world: y up, its front towards +z, in the middle, as large as a generated object."""

    corners: Float[np.ndarray, "faces 3 3"]
    normals: Float[np.ndarray, "faces 3 3"]
    uv: Float[np.ndarray, "faces 3 2"]
    part: Int[np.ndarray, " faces"]
    looks: list[np.ndarray]  # of each part: a picture, or a colour [3] in 0..1

    @staticmethod
    def read(path: Path) -> "Model":
        """Read an OBJ file with its materials."""
        scene = trimesh.load_scene(path, process=False)
        corners, normals, uvs, parts, looks = [], [], [], [], []
        for mesh in scene.dump():
            if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
                continue
            faces, texture = np.asarray(mesh.faces), texture_of(mesh)
            corners.append(np.asarray(mesh.vertices)[faces])
            normals.append(np.asarray(mesh.vertex_normals)[faces])
            uvs.append(np.zeros((len(faces), 3, 2)) if texture is None else texture.uv[faces] % 1.0)
            parts.append(np.full(len(faces), len(looks)))
            looks.append(_color(mesh) if texture is None else texture.picture)
        placed = _placed(np.concatenate(corners))
        return Model(placed, np.concatenate(normals), np.concatenate(uvs), np.concatenate(parts), looks)

    def with_handle_at_x(self) -> "Model":
        """The same, turned about the vertical so that what sticks out points to +x; as it is where nothing does."""
        every = self.corners.reshape(-1, 3)
        top = every[every[:, 1] >= np.quantile(every[:, 1], 1 - RIM)]
        out = (every - (top.min(0) + top.max(0)) / 2)[:, [0, 2]]
        away = np.linalg.norm(out, axis=1)
        x, z = (out[away > FAR * away.max()] / away.max()).mean(0)
        if math.hypot(x, z) < FAR / 2:  # all around
            return self
        turn = Rotation.from_rotvec([0, math.atan2(z, x), 0]).as_matrix()
        return Model(_placed(self.corners @ turn.T), self.normals @ turn.T, self.uv, self.part, self.looks)

    def draw(
        self, camera: Camera, size: int, *, samples: int = 3, lit: bool = True
    ) -> tuple[Float[Tensor, "3 n n"], Float[Tensor, "1 n n"]]:
        """Draw it under a sky with a sun, on white.

        Args:
            camera: One.
            size: Side of the picture, pixels.
            samples: Per pixel along each side.
            lit: By sky and sun, else by a light that is the same everywhere.

        Returns:
            The picture in [0, 1], and the coverage.
        """
        side = size * samples
        hit, albedo, normal = self.surface(camera, side)
        rgb = np.ones((side, side, 3))
        rgb[hit] = albedo
        if lit:
            rgb[hit] *= _light(normal)[:, None]
        stacked = torch.from_numpy(np.concatenate([rgb, hit[..., None]], axis=-1)).permute(2, 0, 1).float()
        small = F.avg_pool2d(stacked[None], samples)[0]
        return small[:3].clamp(0, 1), small[3:]

    def surface(
        self, camera: Camera, side: int
    ) -> tuple[Bool[np.ndarray, "n n"], Float[np.ndarray, "hits 3"], Float[np.ndarray, "hits 3"]]:
        """Find what every pixel sees: whether there is anything, and the colours and normals of what there is.

        Normals are of length 1 and on the camera's side: both sides of a face are seen.
        """
        seen = self._seen(camera, side)
        hit = seen.face >= 0
        faces, shares = seen.face[hit], seen.shares[hit].astype(np.float64)
        normal = np.einsum("pk,pkc->pc", shares, self.normals[faces])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        normal *= -np.sign(normal @ camera.forward.double().numpy() + 1e-12)[:, None]
        return hit, self._albedo(faces, shares), normal

    def distance(self, camera: Camera, side: int) -> Float[np.ndarray, "n n"]:
        """Give how far what every pixel sees is from the camera, world units; infinite where there is nothing."""
        seen = self._seen(camera, side)
        places = np.einsum("hwk,hwkc->hwc", seen.shares.astype(np.float64), self.corners[np.maximum(seen.face, 0)])
        far = np.linalg.norm(places - camera.position.double().numpy(), axis=-1)
        return np.where(seen.face >= 0, far, np.inf)

    def _seen(self, camera: Camera, side: int) -> Fragments:
        cam2world, projection = camera.cam2world.double().numpy(), camera.intrinsics.double().numpy()
        image = ((self.corners - cam2world[:3, 3]) @ cam2world[:3, :3]) @ projection.T
        pixels = np.concatenate([image[..., :2] * side - 0.5 * image[..., 2:], image[..., 2:]], axis=-1)
        return rasterize(np.ascontiguousarray(pixels), side)

    def _albedo(self, faces: np.ndarray, shares: np.ndarray) -> Float[np.ndarray, "n 3"]:
        uv, part = np.einsum("pk,pkc->pc", shares, self.uv[faces]), self.part[faces]
        albedo = np.empty((len(faces), 3))
        for index in np.unique(part):
            look, mine = self.looks[index], part == index
            albedo[mine] = look if look.ndim == 1 else sample_texture(look, uv[mine])
        return albedo


def _placed(corners: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 3 3"]:
    """Bring the middle of the bounding box to the origin, and the farthest corner to where it is to be."""
    placed: np.ndarray = corners - (corners.min((0, 1)) + corners.max((0, 1))) / 2
    return placed * (REACH / np.linalg.norm(placed, axis=-1).max())


def _color(mesh: trimesh.Trimesh) -> Float[np.ndarray, "3"]:
    """The one colour of a part without texture."""
    diffuse = getattr(getattr(mesh.visual, "material", None), "diffuse", None)
    return np.full(3, GREY) if diffuse is None else np.asarray(diffuse, np.float64)[:3] / 255


def _light(normal: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """What a sky with a sun gives to faces."""
    sun = np.maximum(normal @ (np.array(SUN) / np.linalg.norm(SUN)), 0)
    up = (normal[:, 1] + 1) / 2
    light: np.ndarray = SUN_SHARE * sun + SKY_SHARE * up + GROUND_SHARE * (1 - up)
    return light
