"""Run by a test: what nerfstudio's own readers make of a set, as JSON.

    python nerfstudio_probe.py nerfstudio|blender|colmap FOLDER

The readers are those of the package, which is installed without the many others that only training needs; what writes
its logs, and what reads raw pictures, is replaced by nothing.
"""

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

answers, sys.stdout = sys.stdout, sys.stderr  # readers talk

for name in ("torch.utils.tensorboard", "newrawpy"):
    sys.modules[name] = MagicMock(__spec__=None)

from nerfstudio.data.dataparsers.blender_dataparser import BlenderDataParserConfig  # noqa: E402
from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig  # noqa: E402
from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig  # noqa: E402

form, folder = sys.argv[1], Path(sys.argv[2])
as_it_is = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False}
parser = {
    "nerfstudio": lambda: NerfstudioDataParserConfig(data=folder, eval_mode="all", load_3D_points=True, **as_it_is),
    "colmap": lambda: ColmapDataParserConfig(
        data=folder,
        colmap_path=Path("sparse/0"),
        downscale_factor=1,
        eval_mode="all",
        load_3D_points=True,
        assume_colmap_world_coordinate_convention=False,
        **as_it_is,
    ),
    "blender": lambda: BlenderDataParserConfig(data=folder),
}[form]().setup()
views, points, depth = [], None, None
for split in ("train", "val", "test") if form == "blender" else ("train",):
    seen = parser.get_dataparser_outputs(split)
    cameras = seen.cameras
    points, depth = seen.metadata.get("points3D_xyz", points), seen.metadata.get("depth_filenames", depth)
    for index, image in enumerate(seen.image_filenames):
        lens = {name: float(getattr(cameras, name)[index]) for name in ("fx", "fy", "cx", "cy", "width", "height")}
        masks = seen.mask_filenames
        views.append(
            {
                "image": str(image),
                "mask": None if masks is None else str(masks[index]),
                "depth": None if not depth else str(depth[index]),
                "cam2world": cameras.camera_to_worlds[index].tolist(),  # OpenGL's axes
                **lens,
            }
        )
unit = seen.metadata.get("depth_unit_scale_factor")
answers.write(json.dumps({"views": views, "unit": unit, "points": None if points is None else points.tolist()}))
