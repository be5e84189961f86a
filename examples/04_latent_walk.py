"""From one toy to the next: a walk through latent space, in one looping video.

Each keyframe is a seed and a class. `interpolate_ws` passes through their mapped latents on a smooth spline and
returns to the first. Every step of the walk is a toy of its own with planes of its own, unlike the frames of an
orbit, so the backbone runs once per frame; on a small generator that costs little beside the rendering. The camera
turns slowly meanwhile, which shows that what moves is a solid and not a picture.

Run it with `python examples/04_latent_walk.py`; the video appears in gen3d-out/examples.
"""

from collections.abc import Sequence
from pathlib import Path

import gen3d_tools as g3
from gen3d_tools.generators.latents import interpolate_ws
from gen3d_tools.media.video import VideoWriter

OUT = Path("gen3d-out/examples")
FPS = 20


def main(
    model: str = "shapes",
    classes: Sequence[str] = ("mushroom", "tree", "lamp"),
    size: int = 128,
    frames_per_class: int = 16,
    out: Path = OUT,
) -> Path:
    """Film the walk through one toy of each class and return the video's path."""
    generator = g3.load_generator(model)
    keyframes = generator.latents(seeds=range(len(classes)), classes=classes, truncation_psi=0.7)
    walk = interpolate_ws(keyframes, frames_per_class)  # [frames, num_ws, w_dim]
    cameras = g3.orbit(len(walk), generator.default_camera())

    path = out / "04_latent_walk.mp4"
    with VideoWriter(path, fps=FPS, overwrite=True) as video:
        for ws, camera in zip(walk, cameras, strict=True):
            (field,) = generator.fields(ws[None])
            video.add(g3.render(field, camera, resolution=size).rgb)
    print(path)
    return path


if __name__ == "__main__":
    main()
