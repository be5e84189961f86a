"""Who would be told to stop: `python examples/shapes/familiarity.py --count 1000`.

`gen3d invert` stops where the encoder's familiarity is below a threshold. The threshold is right if objects of the
model's own classes, which neither generator nor encoder has seen, never fall below it and strangers do. Held-out
objects are those of `photos.py`, prepared as a photo is; strangers are drawn by `strangers.py` with other random
numbers than in training, and read from pictures that are named.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from encoder_data import SIZE
from photos import Subject
from strangers import FLAT
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.perception.out_of_distribution import STRANGER_BELOW
from gen3d_tools.photos.framing import measure_framing
from gen3d_tools.photos.photo import load_photo

STRANGER_SEED = 77_000


def toys(count: int, first: int = 0, size: int = SIZE) -> Iterable[Tensor]:
    """Trace held-out objects, [3, size, size]; classes come in turn, cameras as in training."""
    return (Subject.numbered(number).picture(size) for number in range(first, first + count))


def strangers(count: int, size: int = SIZE) -> dict[str, list[Tensor]]:
    """Draw flat strangers of every kind; some are made from toys."""
    made = {}
    for kind in FLAT:
        random = torch.Generator().manual_seed(STRANGER_SEED)
        made[kind.__name__.strip("_")] = [kind(toy, random) for toy in toys(count, size=size)]
    return made


@torch.no_grad()
def familiarity(encoder: PhotoEncoder, pictures: Iterable[Tensor]) -> Tensor:
    """Ask the encoder about pictures one by one, [pictures]."""
    return torch.stack([encoder(picture[None]).familiarity[0] for picture in pictures])


def line(name: str, scores: Tensor) -> str:
    """Write a row of the table: how many, the lowest, the middle, the highest, how many are refused."""
    refused = int((scores < STRANGER_BELOW).sum())
    low, middle, high = (float(value) for value in (scores.min(), scores.median(), scores.max()))
    return f"| {name} | {len(scores)} | {low:.3f} | {middle:.3f} | {high:.3f} | {refused} |"


def main() -> None:
    """Read the command line, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="*", help="pictures of things the model does not know")
    parser.add_argument("--model", default="shapes", help="model folder or bundled name")
    parser.add_argument("--count", type=int, default=1000, help="held-out objects")
    parser.add_argument("--strangers", type=int, default=30, help="strangers of each kind")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    if encoder is None:
        raise SystemExit(f"{options.model} has no encoder; train one with encoder.py")
    print("| pictures | how many | lowest | middle | highest | refused |\n|" + " --- |" * 6)
    print(line("held-out toys", familiarity(encoder, toys(options.count))))
    for name, pictures in strangers(options.strangers).items():
        print(line(name, familiarity(encoder, pictures)))
    generator = g3.load_generator(options.model)
    framing = measure_framing(generator)
    for photo in options.photos:
        try:
            prepared = load_photo(photo, generator, background="border", framing=framing)
        except g3.InputError as error:
            print(f"| {photo.name} | {error} |")
            continue
        print(line(photo.name, familiarity(encoder, [prepared.rgb])))


if __name__ == "__main__":
    main()
