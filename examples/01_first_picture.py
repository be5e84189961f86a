"""The first picture: load the bundled generator, choose a seed and a class, render, save.

A seed names one latent, so the same seed gives the same toy on every machine and in every batch. Truncation pulls
it towards the typical toy of its class: 1 is off, 0.7 is a good middle, 0 shows the mean itself. The field is a
value: computed once, it can be rendered from any camera at any size, since nothing in it knows about pixels.

Run it with `python examples/01_first_picture.py`; the pictures appear in gen3d-out/examples.
"""

from pathlib import Path

import gen3d_tools as g3
from gen3d_tools.media.images import depth_picture, write_image

OUT = Path("gen3d-out/examples")


def main(
    model: str = "shapes", class_name: str = "mug", seed: int = 0, size: int = 256, out: Path = OUT
) -> dict[str, Path]:
    """Render one sample and write its colours and its depth.

    Returns:
        The files by name.
    """
    generator = g3.load_generator(model)
    ws = generator.latents(seeds=[seed], classes=[class_name], truncation_psi=0.7)  # [1, num_ws, w_dim]
    (field,) = generator.fields(ws)
    frame = g3.render(field, generator.default_camera(), resolution=size, supersample=2)

    pictures = {"rgb": frame.rgb, "depth": depth_picture(frame.depth, frame.opacity)}
    files = {name: out / f"01_{class_name}_{name}.png" for name in pictures}
    for name, picture in pictures.items():
        write_image(files[name], picture, overwrite=True)
        print(files[name])
    return files


if __name__ == "__main__":
    main()
