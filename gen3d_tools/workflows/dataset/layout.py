"""Which file lies where.

A scene (nerfstudio, colmap, blender), in a folder of its own:

    chair-0000/  transforms.json | sparse/0/ | transforms_train.json, ..._val.json, ..._test.json
                 images/000.png (blender: train/, val/, test/), masks/, depth/, normals/
                 points.ply, mesh.glb, splats.ply, object.json

A set (eg3d, 3dgp), in whose first folder there is nothing but what a generator trains on:

    pictures/    dataset.json, chair-0000/000.png, of 3dgp 000_depth.png too
    objects/     chair-0000/ transforms.json, masks/, depth/, normals/, points.ply, mesh.glb, splats.ply, object.json
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3d_tools.workflows.dataset.options import SPLIT_FORMAT, DatasetOptions

PICTURES, OBJECTS = "pictures", "objects"
LABELS_NAME = "dataset.json"
TRANSFORMS_NAME = "transforms.json"
MESH_NAME, POINTS_NAME, SPLATS_NAME, FACTS_NAME = "mesh.glb", "points.ply", "splats.ply", "object.json"
SPARSE = Path("sparse", "0")
SPLITS = ("train", "val", "test")
_SPLIT_EVERY = 10
_VAL, _TEST = 4, 9  # of every ten


def split_of(index: int, views: int) -> str:
    """Say what a picture is for: of every ten the fifth for validation, the tenth for test; of fewer the last two."""
    if views < _SPLIT_EVERY:
        return SPLITS[max(0, index - (views - len(SPLITS)))]
    return {_VAL: "val", _TEST: "test"}.get(index % _SPLIT_EVERY, "train")


@dataclass(frozen=True)
class ObjectFiles:
    """The files of one object, in its form.

    Attributes:
        name: Name of the object, as a folder.
        options: What is made.
    """

    name: str
    options: DatasetOptions

    def folders(self, target: Path) -> list[Path]:
        """Give the folders of the object, each written whole: the scene; or its pictures and the rest."""
        if self.options.is_set:
            return [target / PICTURES / self.name, target / OBJECTS / self.name]
        return [target / self.name]

    @property
    def stems(self) -> list[str]:
        """Name the views: their numbers."""
        digits = max(3, len(str(self.options.views - 1)))
        return [f"{index:0{digits}d}" for index in range(self.options.views)]

    def picture(self, index: int) -> Path:
        """Give the picture of a view, relative to its folder."""
        name = f"{self.stems[index]}.png"
        if self.options.is_set:
            return Path(name)
        if self.options.file_format == SPLIT_FORMAT:
            return Path(split_of(index, self.options.views), name)
        return Path("images", name)

    def training_files(self, index: int) -> dict[str, Path]:
        """Give the files of a view that a generator trains on, by kind."""
        places = {"rgb": self.picture(index)}
        if self.options.file_format == "3dgp":
            places["levels"] = Path(f"{self.stems[index]}_depth.png")
        return places

    def scene_files(self, index: int) -> dict[str, Path]:
        """Give the other files of a view, the picture of a scene among them, by kind."""
        stem = self.stems[index]
        # COLMAP adds .png to the picture's name to find its mask.
        mask = f"{stem}.png.png" if self.options.file_format == "colmap" else f"{stem}.png"
        beside = {
            "masks": Path("masks", mask),
            "depth": Path("depth", f"{stem}.png"),
            "depth-float": Path("depth", f"{stem}.npy"),
            "normals": Path("normals", f"{stem}.png"),
        }
        places = {} if self.options.is_set else {"rgba": self.picture(index)}
        return places | {kind: path for kind, path in beside.items() if kind in self.options.include}

    def picture_names(self) -> list[str]:
        """Name the pictures as the cameras' file of the object does, relative to that file."""
        before = f"../../{PICTURES}/{self.name}/" if self.options.is_set else ""
        return [f"{before}{self.picture(index).as_posix()}" for index in range(self.options.views)]


def named(files: Sequence[Mapping[str, Path]], keys: Mapping[str, str]) -> list[dict[str, str]]:
    """Give each view's files under the keys that another program has for their kinds."""
    return [{key: row[kind].as_posix() for kind, key in keys.items() if kind in row} for row in files]
