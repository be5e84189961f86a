"""From one photo to a thing: inversion, and what its result is good for.

The generator has never seen the mug on this photo, and nobody says that it is one, nor from where it was taken. An
encoder guesses class, camera and latent; stage one improves all three until the generator's own picture is as near as
it comes; stage two tunes the generator around that latent until the picture is the photo. The result is a model: it is
saved as the difference from the one it came from, and loads wherever a model does. `amount=0.3` moves the object
towards another of its class: latents are vectors, and what lies between two of them is an object too.

Run it with `python examples/07_invert_a_photo.py`; everything appears in gen3d-out/examples.
"""

from pathlib import Path

import gen3d_tools as g3

OUT = Path("gen3d-out/examples")
PHOTO = Path(__file__).parent / "photos" / "mug.jpg"


def main(
    model: str = "shapes",
    photo: Path = PHOTO,
    settings: str | g3.InversionSettings = "fast",
    size: int = 192,
    views: int = 6,
    amount: float = 0.0,
    out: Path = OUT,
) -> dict[str, Path]:
    """Rebuild the mug, save it, load it again, and walk around it."""
    generator = g3.load_generator(model)
    result = g3.invert(generator, photo, settings=settings)
    print(f"{result.class_name}: the fit is {result.fit}", *result.warnings, sep="\n")
    files = {"result": out / "07_result", "picture": out / "07_around.png"}
    result.save(files["result"], overwrite=True)

    tuned = g3.load_generator(files["result"], base=model)
    other = tuned.latents(seeds=[2], classes=[result.class_name] if result.class_name else None)
    moved = tuned.pivot.ws.lerp(other, amount)  # towards another sample: 0 is the photo's object, 1 the other
    (field,) = tuned.fields(moved)
    cameras = g3.orbit(views, tuned.default_camera())
    frames = g3.render(field, cameras, resolution=size).rgb
    g3.write_image(files["picture"], frames.transpose(0, 1).transpose(1, 2).flatten(2), overwrite=True)
    print(*files.values(), sep="\n")
    return files


if __name__ == "__main__":
    main()
