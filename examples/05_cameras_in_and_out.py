"""Cameras as values, and as other programs' files.

A `Camera` holds a pose (OpenCV axes: x right, y down, z forward) and a lens (in image sides, so it does not depend on
the resolution), or a batch of both. It is built from angles or points, moved along paths, and converted at the border:
nerfstudio's camera path and transforms.json, COLMAP's text model, and the 25 numbers that EG3D's data sets label each
picture with. `load_cameras` reads any of these back; the file's content decides, not its name.

Run it with `python examples/05_cameras_in_and_out.py`; the files appear in gen3d-out/examples.
"""

from pathlib import Path

import torch

import gen3d_tools as g3
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import write_camera_path, write_transforms

OUT = Path("gen3d-out/examples")


def main(frames: int = 24, out: Path = OUT) -> list[Path]:
    """Write one spiral of cameras in three formats, read each back and compare."""
    front = g3.Camera.from_spherical(yaw_deg=0, pitch_deg=0, radius=2.7, fov_y_deg=20)
    same = g3.Camera.look_at(position=(0, 0, 2.7), target=(0, 0, 0), fov_y_deg=20)
    torch.testing.assert_close(front.cam2world, same.cam2world)

    cameras = g3.spiral(frames, front)  # one batch, [frames]
    label = cameras[0].to_eg3d_label()  # 16 numbers of cam2world, 9 of the intrinsics
    torch.testing.assert_close(g3.Camera.from_eg3d_label(label).position, front.position)
    print(f"{len(cameras)} cameras at yaw {[round(yaw) for yaw in cameras.spherical()[0].tolist()][:4]} ... degrees")

    files = [out / "05_camera_path.json", out / "05_transforms.json", out / "05_colmap"]
    for path, write in zip(files, (write_camera_path, write_transforms, write_colmap), strict=True):
        write(path, cameras, overwrite=True)
        again = g3.load_cameras(path)
        torch.testing.assert_close(again.cam2world, cameras.cam2world, atol=1e-4, rtol=0)
        print(path)
    return files


if __name__ == "__main__":
    main()
