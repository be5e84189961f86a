"""A walk around one toy as a video, frame by frame.

The tri-planes are computed once and rendered from every camera of the path. `render_frames` gives one picture at a
time and `VideoWriter` hands it to the encoder while the next one is rendered, so memory does not grow with the length
of the film. The suffix chooses the format: .mp4, .webm or .gif, or a folder of numbered pictures without one. An orbit
leaves out its last frame, which would repeat the first: the film loops without a stutter.

Run it with `python examples/02_orbit_video.py`; the video appears in gen3d-out/examples.
"""

from pathlib import Path

import gen3d_tools as g3
from gen3d_tools.media.video import VideoWriter

OUT = Path("gen3d-out/examples")
FPS = 20


def main(
    model: str = "shapes", class_name: str = "rocket", seed: int = 3, size: int = 128, frames: int = 40, out: Path = OUT
) -> Path:
    """Film one full turn around a sample and return the video's path."""
    generator = g3.load_generator(model)
    (field,) = generator.fields(generator.latents(seeds=[seed], classes=[class_name], truncation_psi=0.7))
    cameras = g3.orbit(frames, generator.default_camera(), pitch_deg=20)

    path = out / f"02_{class_name}_orbit.mp4"
    with VideoWriter(path, fps=FPS, overwrite=True) as video:
        for frame in g3.render_frames(field, cameras, resolution=size):
            video.add(frame.rgb)
    print(path)
    return path


if __name__ == "__main__":
    main()
