"""Cameras as values, as other programs' files, and with the pictures they took.

A `Camera` holds a pose (OpenCV axes: x right, y down, z forward) and a lens (in image sides, so it does not depend on
the resolution), or a batch of both. It is built from angles or points, moved along paths, and converted at the border:
nerfstudio's camera path and transforms.json, COLMAP's text model, and the 25 numbers that EG3D's data sets label each
picture with. `load_cameras` reads any of these back; the file's content decides, not its name.

Run it with `python examples/05_cameras_in_and_out.py`; a folder that nerfstudio and COLMAP open appears in
gen3d-out/examples. `gen3d sample shapes --views 24 --cameras-out nerfstudio` makes such a folder in one step.
"""

from pathlib import Path

import torch

import gen3d_tools as g3
from gen3d_tools.cameras.formats import write_camera_path

OUT = Path("gen3d-out/examples")


def main(
    model: str = "shapes", class_name: str = "house", frames: int = 24, size: int = 128, out: Path = OUT
) -> list[Path]:
    """Take pictures along a spiral, write its cameras in three formats, read each back and compare."""
    front = g3.Camera.from_spherical(yaw_deg=0, pitch_deg=0, radius=2.7, fov_y_deg=20)
    same = g3.Camera.look_at(position=(0, 0, 2.7), target=(0, 0, 0), fov_y_deg=20)
    torch.testing.assert_close(front.cam2world, same.cam2world)
    cameras = g3.spiral(frames, front)  # one batch, [frames]
    label = cameras[0].to_eg3d_label()  # 16 numbers of cam2world, 9 of the intrinsics
    torch.testing.assert_close(g3.Camera.from_eg3d_label(label).position, front.position)

    generator = g3.load_generator(model)
    (field,) = generator.fields(generator.latents(seeds=[0], classes=[class_name]))
    folder, names = out / "05_cameras", [f"images/{index:04d}.png" for index in range(frames)]
    for name, frame in zip(names, g3.render_frames(field, cameras, resolution=size), strict=True):
        g3.write_image(folder / name, frame.rgb, overwrite=True)

    pictures = {"width": size, "height": size, "names": names, "overwrite": True}
    files = [folder / "camera_path.json", folder / "transforms.json", folder / "sparse" / "0"]
    write_camera_path(files[0], cameras, height=size, overwrite=True)
    g3.write_transforms(files[1], cameras, **pictures)
    g3.write_colmap(files[2], cameras, **{**pictures, "names": [Path(name).name for name in names]})
    for path in files:
        again = g3.load_cameras(path)
        torch.testing.assert_close(again.cam2world, cameras.cam2world, atol=1e-4, rtol=0)
        print(path)
    return files


if __name__ == "__main__":
    main()
