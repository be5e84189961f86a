"""Make a folder of pictures of chairs that artists made, unposed, with depth maps as an estimator would give them.

    python examples/train_from_pictures/make_chairs.py chairs --sets sets

`sets` holds unpacked sets of furniture, see `examples/shapes/furniture.py`. Each chair is drawn under a sky with a sun
from cameras around its front, as `make_pictures.py --bell` places them; `dataset.json` says nothing about them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))
sys.path.insert(0, str(Path(__file__).parent))

from furniture import CATALOGUE, Entry, Model, read_set
from make_pictures import RADIUS, draw_poses, estimated, write_pair

from gen3d_tools.cameras.camera import Camera

CLASS = "chair"


def chairs_in(sets: Path) -> list[Entry]:
    """List the chairs of unpacked sets."""
    folders = [folder for folder in sorted(sets.iterdir()) if (folder / CATALOGUE).is_file()]
    found = [entry for folder in folders for entry in read_set(folder) if entry.class_name == CLASS]
    if not found:
        raise SystemExit(f"no chairs in {sets}; unpack the .sh3f files there (unzip), one folder each")
    return found


def drawn(
    model: Model, camera: Camera, resolution: int
) -> tuple[Float[Tensor, "3 n n"], Float[Tensor, "1 n n"], Float[Tensor, "1 n n"]]:
    """Draw a chair.

    Returns:
        The picture in [0, 1], what it covers, and its distance in world units, far where there is nothing.
    """
    picture, coverage = model.draw(camera, resolution)
    distance = torch.from_numpy(model.distance(camera, resolution)).float()[None]
    return picture, coverage, torch.where(distance.isfinite(), distance, 2 * RADIUS)


def make(folder: Path, sets: Path, views: int, resolution: int, seed: int) -> int:
    """Write the pictures and depth maps; gives how many there are."""
    generator = torch.Generator().manual_seed(seed)
    (folder / CLASS).mkdir(parents=True, exist_ok=True)
    names = []
    for entry in chairs_in(sets):
        model = entry.read()
        cameras = draw_poses(views, generator, bell=True).camera()
        for camera in (cameras[index] for index in range(views)):
            picture, coverage, distance = drawn(model, camera, resolution)
            stem = f"{CLASS}/{len(names):05d}"
            write_pair(folder / stem, picture, estimated(distance[None], coverage[None], generator)[0])
            names.append(f"{stem}.png")
        print(f"{entry.name}: {len(names)} pictures", end="\r", file=sys.stderr, flush=True)
    text = json.dumps({"labels": [[name, 0] for name in names], "class_names": [CLASS]})
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return len(names)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Pictures of artists' chairs to train from.")
    parser.add_argument("folder", type=Path, help="The folder to make.")
    parser.add_argument("--sets", type=Path, required=True, help="Unpacked sets of furniture.")
    parser.add_argument("--views", type=int, default=80, help="Pictures of each chair.")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    count = make(options.folder, options.sets, options.views, options.resolution, options.seed)
    print(f"{options.folder}: {count} pictures")


if __name__ == "__main__":
    main()
