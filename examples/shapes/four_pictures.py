"""Four pictures that the bundled model did not make: `python examples/shapes/four_pictures.py --out runs/four`.

A wide mug in blue on white, a red mug before a gradient, a cartoon of a car, and two mugs. Things and cameras are
given by numbers here, none of them a latent of the generator's. Writes the pictures, what `gen3d invert` makes of each
side by side, and prints what it says.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from dataset import Kind
from encoder_data import FOV_Y_DEG, RADIUS
from layers import Layers, trace_layers
from makers import outlines
from torch import Tensor
from varied import NUMBERS, VARIED

import gen3d_tools as g3
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import Gen3DError
from gen3d_tools.inversion.api import find_helpers, invert
from gen3d_tools.inversion.stages.objective import resized
from gen3d_tools.media.images import write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.workflows.evaluate.inversions.judging import turned
from gen3d_tools.workflows.invert.familiarity import check_familiar

SIZE = 256
TURNS_DEG = (0.0, 60.0, 180.0)

WIDE_MUG = {0: 0.85, 1: 0.25, 3: 0.6, 6: 0.6, 8: 0.5, 9: 0.6, 10: 0.3, 20: 0.1, 21: 0.9, 22: 0.75}
RED_MUG = {0: 0.45, 1: 0.6, 3: 0.55, 6: 0.5, 8: 0.6, 9: 0.5, 10: 0.3, 20: 0.5, 21: 0.9, 22: 0.8}
CAR = {0: 0.6, 2: 0.5, 4: 0.6, 5: 0.6, 6: 0.5, 7: 0.6, 14: 0.5, 20: 0.6, 21: 0.9, 22: 0.9, 31: 0.9}
"""Parameters of varied things by their place; the others are .5, but for what no place names: nothing painted on."""

_PLAIN = {16: 0.2, 12: 0.3, 29: 0.3, 30: 0.2}


def drawn(name: str, numbers: dict[int, float], yaw_deg: float, pitch_deg: float) -> Layers:
    """Trace one varied thing from a camera of the generator's."""
    u = torch.full((1, NUMBERS), 0.5)
    for place, value in ({**_PLAIN, **numbers} if name == "mug" else numbers).items():
        u[0, place] = value
    kind: Kind = lambda points, _: VARIED[name](points, u)  # noqa: E731
    camera = Camera.from_spherical(yaw_deg, pitch_deg, RADIUS, fov_y_deg=FOV_Y_DEG)
    place = camera.cam2world.reshape(1, 4, 4)
    fov, generator = torch.tensor([FOV_Y_DEG]), torch.Generator().manual_seed(11)
    return trace_layers(torch.zeros(1, NUMBERS), kind, place, fov, SIZE, generator, textured=False)


def lit(layers: Layers, background: Tensor) -> Tensor:
    """Light it from a window at the upper left, put it before a background; [3, n, n]."""
    normal, albedo, alpha = layers.normal.float() / 127.5 - 1, layers.albedo.float() / 255, layers.alpha.float() / 255
    light = torch.nn.functional.normalize(torch.tensor([-0.7, 0.6, 0.5]), dim=0)[:, None, None]
    shading = 0.5 + 0.15 * normal[:, 1:2] + 0.5 * (normal * light).sum(1, keepdim=True).clamp_min(0)
    rgb = (albedo * shading * (0.6 + 0.4 * layers.occlusion.float() / 255)).clamp(0, 1)
    return torch.lerp(background.expand_as(rgb), rgb, alpha)[0]


def cartoon(layers: Layers) -> Tensor:
    """Colours without light, and ink where a draughtsman draws lines."""
    normal, albedo, alpha = layers.normal.float() / 127.5 - 1, layers.albedo.float() / 255, layers.alpha.float() / 255
    return torch.lerp(torch.ones_like(albedo), albedo * (1 - outlines(normal, alpha, albedo)), alpha)[0]


def wide_mug() -> Tensor:
    """A wide mug in blue, its handle to the right, on white."""
    return lit(drawn("mug", WIDE_MUG, 15.0, 22.0), torch.ones(1, 3, 1, 1))


def red_mug() -> Tensor:
    """A red mug before a gradient of grey."""
    ramp = torch.linspace(0.55, 0.9, SIZE)[None, None, :, None]
    return lit(drawn("mug", RED_MUG, -25.0, 18.0), ramp.expand(1, 3, -1, SIZE))


def cartoon_car() -> Tensor:
    """A car in flat colours with black lines."""
    return cartoon(drawn("car", CAR, 50.0, 15.0))


def two_mugs() -> Tensor:
    """The wide mug and a smaller red one beside it."""
    large, small = wide_mug(), lit(drawn("mug", RED_MUG, -25.0, 18.0), torch.ones(1, 3, 1, 1))
    picture = torch.ones(3, SIZE, 2 * SIZE)
    picture[:, :, :SIZE] = large
    picture[:, SIZE // 4 : -SIZE // 4, SIZE + SIZE // 8 : -SIZE // 2 + SIZE // 8] = small[:, ::2, ::2]
    return picture


PICTURES: dict[str, Callable[[], Tensor]] = {
    "wide-mug": wide_mug,
    "red-mug": red_mug,
    "cartoon-car": cartoon_car,
    "two-mugs": two_mugs,
}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    pictures: list[Tensor]
    lines: list[str]


def answer(generator: g3.Generator, path: Path, preset: str) -> Answer:
    """Invert one picture as `gen3d invert --anyway` does, and say what the command would say."""
    result = invert(generator, path, settings=preset)
    encoder, _ = find_helpers(generator, None)
    assert encoder is not None
    lines = [line for photo in result.photos for line in photo.warnings]
    try:
        check_familiar(result.photos, encoder, "shapes")
    except Gen3DError as error:
        lines.append(f"refused but for --anyway: {error}")
    yaw, pitch, _ = (float(number) for number in result.camera.spherical())
    before, after = (result.metrics[stage]["psnr"] for stage in ("stage_one", "stage_two"))
    found = f"{result.class_name} seen from yaw {yaw:.0f}, pitch {pitch:.0f}; fit {result.fit}"
    lines += [f"{found}: {before:.1f} dB before tuning, {after:.1f} dB after", *result.warnings]
    seen = [
        g3.render(result.field, turned(result.camera, turn), resolution=SIZE, supersample=2).rgb for turn in TURNS_DEG
    ]
    return Answer([result.photos[0].rgb.cpu(), *(picture.cpu() for picture in seen)], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and the sheet")
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--draw-only", action="store_true", help="the pictures alone")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        write_image(options.out / f"{name}.png", draw(), overwrite=True)
    if options.draw_only:
        return
    generator = g3.load_generator(options.model)
    rows = []
    for name in PICTURES:
        found = answer(generator, options.out / f"{name}.png", options.preset)
        rows.append([resized(one, SIZE) for one in found.pictures])
        print(f"{name}:", *found.lines, sep="\n  ", flush=True)
    heads = ["picture", "rebuilt", *(f"turned {turn:.0f}" for turn in TURNS_DEG[1:])]
    write_image(options.out / "sheet.png", contact_sheet(rows, list(PICTURES), heads), overwrite=True)


if __name__ == "__main__":
    main()
