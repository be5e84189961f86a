"""Make a model to keep of a run.

    python examples/train_from_pictures/export.py runs/finer --after runs/first -o weights/toys

The run's newest snapshot, told who made it, trusted from where nearly all of its training cameras were, and shown a
little from the side at first.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import gen3d_tools
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import TrustedViews
from gen3d_tools.training.run.folder import LATEST
from gen3d_tools.training.run.record import LOG_NAME

YAW_DEG = 25.0  # of the first view: more than the front is seen
SHARE = 0.99  # of the training cameras that are within the trusted views
_CAMERAS = 2048


def spent(runs: Sequence[Path]) -> dict[str, float]:
    """Add up what runs that follow each other have seen: thousands of pictures, and minutes of a processor."""
    last = [json.loads((run / LOG_NAME).read_text(encoding="utf-8").splitlines()[-1]) for run in runs]
    return {
        "thousand_pictures": round(sum(line["kimg"] for line in last), 1),
        "processor_minutes": round(sum(line["processor_seconds"] for line in last) / 60, 1),
    }


def trusted(generator: Generator) -> TrustedViews:
    """Give the yaws and pitches that `SHARE` of the training cameras have, those that were learned."""
    seeds = list(range(_CAMERAS))
    yaw, pitch, _ = generator.sample_cameras(_CAMERAS, seeds).spherical()
    beyond = (1 - SHARE) / 2
    (left, right), (low, high) = (
        np.quantile(angle.double().numpy(), [beyond, 1 - beyond]).round(1).tolist() for angle in (yaw, pitch)
    )
    return TrustedViews(yaw_min_deg=left, yaw_max_deg=right, pitch_min_deg=low, pitch_max_deg=high)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the model."""
    parser = argparse.ArgumentParser(description="Make a model to keep of a run.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--after", type=Path, nargs="*", default=[], help="Runs whose networks this one began with.")
    parser.add_argument("-o", "--out", type=Path, required=True, help="The model folder to write.")
    parser.add_argument("--card", type=Path, help="Model card to store as README.md.")
    options = parser.parse_args(arguments)
    generator = load_generator(options.run / LATEST, device="cpu")
    settings, views = generator.settings, trusted(generator)
    pitch_deg = (views.pitch_min_deg + views.pitch_max_deg) / 2
    generator.settings = replace(
        settings,
        default_view=replace(
            settings.default_view, yaw_deg=max(min(YAW_DEG, views.yaw_max_deg), views.yaw_min_deg), pitch_deg=pitch_deg
        ),
        trusted_views=views,
        provenance={
            "source": "examples/train_from_pictures",
            "gen3d_tools": gen3d_tools.__version__,
            **spent([*options.after, options.run]),
        },
        licence="Apache-2.0",
    )
    card = options.card.read_text(encoding="utf-8") if options.card else None
    generator.save(options.out, card=card, overwrite=True)
    size = sum(file.stat().st_size for file in options.out.iterdir()) / 2**20
    print(f"{options.out}: {generator.num_parameters() / 1e6:.2f} M parameters, {size:.1f} MB")


if __name__ == "__main__":
    main()
