"""Make a model to keep of a run.

    python examples/train_from_pictures/export.py runs/finer --after runs/first -o weights/toys

The run's newest snapshot, told who made it, and shown a little from the side and from above at first.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gen3d_tools
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.run.record import LOG_NAME
from gen3d_tools.workflows.train import LATEST

YAW_DEG, PITCH_DEG = 25.0, 15.0
"""Of the first view: more than the front is seen, and all of it was seen in training."""


def spent(runs: Sequence[Path]) -> dict[str, float]:
    """Add up what runs that follow each other have seen: thousands of pictures, and minutes of a processor."""
    last = [json.loads((run / LOG_NAME).read_text(encoding="utf-8").splitlines()[-1]) for run in runs]
    return {
        "thousand_pictures": round(sum(line["kimg"] for line in last), 1),
        "processor_minutes": round(sum(line["processor_seconds"] for line in last) / 60, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the model."""
    parser = argparse.ArgumentParser(description="Make a model to keep of a run.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--after", type=Path, nargs="*", default=[], help="Runs whose networks this one began with.")
    parser.add_argument("-o", "--out", type=Path, required=True, help="The model folder to write.")
    parser.add_argument("--card", type=Path, help="Model card to store as README.md.")
    options = parser.parse_args(arguments)
    generator = load_generator(options.run / LATEST, device="cpu")
    settings = generator.settings
    generator.settings = replace(
        settings,
        default_view=replace(settings.default_view, yaw_deg=YAW_DEG, pitch_deg=PITCH_DEG),
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
