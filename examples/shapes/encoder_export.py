"""Store a trained encoder beside its model: `python examples/shapes/encoder_export.py runs/encoder -o weights/shapes`.

The moving average is stored in float16, after the familiarity has been fitted to fresh pictures and its borders
placed by others. Prints how familiar held-out toys and strangers of several kinds look.
"""

import argparse
import json
from pathlib import Path

import torch
from dataset import CLASSES
from encoder import encoder_config, judged_pictures, validate
from encoder_data import STRANGER, Pictures, Pool, Scenes, augment, draw_strangers, draw_things, with_flat_strangers
from strangers import FLAT, drawn, snowman, table
from torch import Tensor

from gen3d_tools.perception.encoder import PhotoEncoder, save_encoder
from gen3d_tools.perception.out_of_distribution import describe

FITTED, CALIBRATED = 4000, 1500  # pictures


@torch.no_grad()
def look(encoder: PhotoEncoder, image: Tensor, batch: int = 100) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summary of the features, the head's logit and the familiarity of many pictures."""
    predictions = [encoder(part) for part in image.split(batch)]
    return (
        torch.cat([describe(p.features) for p in predictions]),
        torch.cat([p.known_logit for p in predictions]),
        torch.cat([p.familiarity for p in predictions]),
    )


def build(run: Path) -> PhotoEncoder:
    """Load the moving average of a run."""
    stored = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    encoder = PhotoEncoder(encoder_config())
    encoder.load_state_dict(encoder.state_dict() | stored["average"])
    return encoder.eval().requires_grad_(False)


def fit_familiarity(encoder: PhotoEncoder, pictures: Pictures, fresh: Pictures, strange: Pictures) -> None:
    """Fit to pictures of the training (moved anew), place the borders by things and strangers nobody has seen."""
    numbers, _, _ = look(encoder, pictures.image)
    encoder.familiarity.fit(numbers, pictures.label)
    numbers, logit, _ = look(encoder, fresh.image)
    encoder.familiarity.calibrate(encoder.familiarity.distance(numbers), logit, look(encoder, strange.image)[1])


def fresh_pictures(generator: torch.Generator) -> tuple[Pictures, Pictures]:
    """Draw things, and strangers: half of those solid, half flat."""
    things = Scenes.concatenate([draw_things(label, CALIBRATED // 10, generator) for label in range(len(CLASSES))])
    solid = Scenes.concatenate([draw_strangers(5, generator) for _ in range(CALIBRATED // 10)])
    shown = things.lit(generator)
    flat = with_flat_strangers(shown, 1.0, generator)[:: len(shown) // len(solid)]
    strange = Pictures.concatenate([solid.lit(generator), flat])
    return augment(shown, generator), augment(strange, generator)


def familiarity_table(encoder: PhotoEncoder, toys: Pictures) -> dict[str, float]:
    """Share of pictures of each kind that count as familiar (0.5 and above)."""
    generator = torch.Generator().manual_seed(77)
    kinds = {"toys": toys.image}
    solids = {"assemblies": None, "snowman": snowman, "table": table}
    for name, kind in solids.items():
        drawings = [draw_strangers(5, generator, kind=kind) for _ in range(12)]
        kinds[name] = Scenes.concatenate(drawings).lit(generator).image
    base = toys.image[torch.randperm(len(toys), generator=generator)[:60]]
    for drawer in FLAT:
        kinds[drawer.__name__.strip("_")] = drawn(base, generator, (drawer,))
    return {name: float((look(encoder, image)[2] >= 0.5).float().mean()) for name, image in kinds.items()}


def main() -> None:
    """Read the command line, fit, store, and print what it is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder given to encoder.py as --out")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the model's folder")
    options = parser.parse_args()
    encoder = build(options.run)
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(99)
    seen = Pool(options.run / "pictures").sample(FITTED).lit(generator)
    seen = augment(seen[seen.label != STRANGER])
    fit_familiarity(encoder, seen, *fresh_pictures(generator))
    path = save_encoder(encoder, options.out)
    judged = judged_pictures(40)
    numbers = {kind: validate(encoder, pictures) for kind, pictures in judged.items()}
    numbers["familiar"] = familiarity_table(encoder, judged["clean"])
    print(json.dumps(numbers, indent=2))
    size = sum(p.numel() for p in encoder.parameters()) / 1e6
    print(f"{path}: {size:.2f} M parameters, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
