"""Training: steps of the small recipes, beside the same steps as the published code takes them on a CPU.

Plain: kernels scaled per sample and convolved in groups, all samples of all rays in torch's graph, picture by picture,
fakes made once for G and once more for D, a filter whose way back is torch's own, float32 throughout. The networks,
the pictures and the random numbers are the same; a round of the measurement is as many steps as R1 comes in.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring.rows import Effort, Row, row
from gen3d_tools.generators.networks.epigraf import depth_adaptor
from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.discriminators import layers
from gen3d_tools.training.discriminators.filtering import filtered
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.starting import begin_with, trained_networks
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.synthesis import rendering
from gen3d_tools.workflows.bench.plain_backbone import synthesize
from gen3d_tools.workflows.bench.timing import measure

CLASSES = ("car", "chair", "mug")
PICTURES = 48
WELL_UNDERWAY = 20.0  # thousand pictures: no blur, no noise on densities, patches of every size
_TINY = {
    "3dgp": ("generator.plane_resolution=8", "patches.side=8", "patches.least_scale=0.5"),
    "epigraf": ("generator.plane_resolution=8", "patches.side=8", "patches.least_scale=0.5"),
    "geometry-aware": ("generator.plane_resolution=8",),
}


def rows(effort: Effort) -> Iterator[Row]:
    """Yield one row per recipe that learns within minutes; that of 3DGP begins with the bundled networks."""
    for recipe, start in (("3dgp", "toys"), ("epigraf", None), ("geometry-aware", None)):
        with tempfile.TemporaryDirectory() as folder:
            yield _steps(recipe, start, Path(folder), effort)


def _steps(name: str, start: str | None, folder: Path, effort: Effort) -> Row:
    ours = _trainer(name, start, folder / "ours", (), effort)
    published = ("discriminator.half_blocks=0", "losses.reuse_fakes=false")
    plain = _trainer(name, start, folder / "plain", published, effort)
    count = 1 if effort.tiny else ours.recipe.losses.r1_every

    def work(trainer: Trainer) -> None:
        for _ in range(count):
            trainer.step()

    def work_plainly() -> None:
        with published_procedure():
            work(plain)

    ours.step()  # compiles
    timing = measure(lambda: work(ours), work_plainly, repeat=effort.repeat)
    pictures = count * ours.recipe.optimisation.batch
    rate = f"{pictures / timing.ours_cpu:.0f} and {pictures / timing.plain_cpu:.0f} pictures a second"
    return row(f"{name} --small, {count} steps", timing, wanted="x 4", note=f"{rate} of processor time")


def _trainer(name: str, start: str | None, folder: Path, changes: tuple[str, ...], effort: Effort) -> Trainer:
    """Make a run that has seen some pictures."""
    small = _TINY[name] if effort.tiny else ()
    finer = ("generator.plane_resolution=64",) if start and not effort.tiny else ()
    recipe = load_recipe(name, small=True, changes=("data.mirror=false", *small, *finer, *changes))
    side = recipe.data.resolution
    trainer = Trainer(recipe, open_pictures(_write_pictures(folder, side), recipe.data))
    if start is not None and not effort.tiny:
        begin_with(trainer, trained_networks(start))
    trainer.images = int(1000 * WELL_UNDERWAY)
    trainer.iteration = trainer.images // recipe.optimisation.batch
    return trainer


def _write_pictures(folder: Path, side: int) -> Path:
    """Pictures of noise with depth: what they show does not change how long a step takes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    labels = []
    for index in range(PICTURES):
        name = f"{index:03d}"
        Image.fromarray(random.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(folder / f"{name}.png")
        Image.fromarray(random.integers(0, 65535, (side, side), dtype=np.uint16)).save(folder / f"{name}_depth.png")
        labels.append([f"{name}.png", index % len(CLASSES)])
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "class_names": CLASSES}))
    return folder


@contextmanager
def published_procedure() -> Iterator[None]:
    """Backbone, convolutions, rays and filters as the published code has them, for the time being."""

    def forward(self: SynthesisNetwork, ws: Float[Tensor, "b num_ws w_dim"], **_: Any) -> Tensor:
        return synthesize(self, ws)

    with ExitStack() as stack:
        stack.enter_context(patch.object(SynthesisNetwork, "forward", forward))
        stack.enter_context(patch.object(rendering, "render_together", lambda *_, **__: None))
        for module in (layers, depth_adaptor):
            stack.enter_context(patch.object(module, "convolve", _convolved))
        stack.enter_context(patch.object(layers, "low_passed", partial(_filtered, stride=1)))
        stack.enter_context(patch.object(layers, "halved", partial(_filtered, padding=1, stride=2)))
        yield


def _convolved(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)


def _filtered(x: Tensor, *, padding: int, stride: int) -> Tensor:
    return filtered(x, low_pass_filter(x.dtype, x.device), padding=padding, stride=stride)
