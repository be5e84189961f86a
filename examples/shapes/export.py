"""Turn a training checkpoint into a model folder: `python examples/shapes/export.py runs/shapes -o weights/shapes`.

The moving average of the weights is stored in float16, with each class's mean latent (for truncation)
and the settings the generator wants to be rendered and meshed with.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from dataset import CLASSES, Z_DIM
from network import CONFIG, TrainableField

import gen3d_tools
from gen3d_tools.cameras.distributions.named import FixedCamera, UniformSphere
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.families.geometry_aware import GeometryAwareConfig, GeometryAwareGenerator
from gen3d_tools.generators.settings import ModelSettings, TrustedViews

DENSITY_GAIN = 1500.0
"""Raw density per unit of truncated signed distance: large, so that even half-sure walls are opaque."""

ISO_LEVEL = 10.0
"""EG3D's meshing level; at this gain it lies 0.0002 world units inside the zero of the distance."""


def deployed_config() -> GeometryAwareConfig:
    """Describe the trained network with its box cut back to the centres of the outermost texels.

    Beyond them a lookup mixes in the zeros around a plane, and what the decoder makes of that is nobody's
    object. Between the centres, `align_corners=True` in the smaller box is the very same function.
    """
    texels = CONFIG.plane_resolution
    return replace(
        CONFIG, density_gain=DENSITY_GAIN, align_corners=True, box_side=CONFIG.box_side * (texels - 1) / texels
    )


def settings(minutes: float, steps: int) -> ModelSettings:
    """Describe how the generator wants to be used."""
    return ModelSettings(
        render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=48, fine_samples=32, background="white"),
        camera_distribution=UniformSphere(radius=2.7, fov_y_deg=20.0, pitch_min_deg=-10.0, pitch_max_deg=60.0),
        default_view=FixedCamera(radius=2.7, fov_y_deg=20.0, yaw_deg=35.0, pitch_deg=22.0),
        trusted_views=TrustedViews(),
        iso_level=ISO_LEVEL,
        class_names=CLASSES,
        provenance={
            "source": "examples/shapes",
            "gen3d_tools": gen3d_tools.__version__,
            "training_minutes": round(minutes, 1),
            "training_steps": steps,
        },
        licence="Apache-2.0",
    )


@torch.no_grad()
def build(checkpoint: Path, *, samples: int = 4000) -> GeometryAwareGenerator:
    """Load the moving average of a run into a generator and measure each class's mean latent."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    trained = TrainableField()
    trained.load_state_dict(stored["average"])
    config = deployed_config()
    generator = GeometryAwareGenerator(config, settings(stored["seconds"] / 60, stored["step"]))
    generator.load_tensors(dict(trained.state_dict()), str(checkpoint))
    z = torch.randn(samples, Z_DIM, generator=torch.Generator().manual_seed(0))
    mapping = generator.backbone.mapping
    onehots = torch.eye(len(CLASSES))
    mapping.w_avg.copy_(torch.stack([mapping(z, row.expand(samples, -1)).mean(0) for row in onehots]))
    return generator.eval()


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder given to train.py as --out")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--card", type=Path, help="model card to store as README.md")
    options = parser.parse_args()
    generator = build(options.run / "checkpoint.pt")
    card = options.card.read_text(encoding="utf-8") if options.card else None
    generator.save(options.out, card=card, dtype=torch.float16, overwrite=True)
    size = sum(file.stat().st_size for file in options.out.iterdir()) / 2**20
    print(f"{options.out}: {generator.num_parameters() / 1e6:.2f} M parameters, {size:.1f} MB")


if __name__ == "__main__":
    main()
