"""Published checkpoints: time and memory to load and to convert a pickle of the published size.

The file is synthetic: EG3D's generator as published, twice, and a discriminator that fills it up to the size wanted.
It lies in the system's temporary folder while this runs. Each step is a process of its own, start-up included.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring.timing import in_own_process, last_json, peak_bytes

PUBLISHED_MEGABYTES = 875
WANTED_SECONDS, WANTED_MEMORY = 20.0, 1.5  # for reading, on two cores; times the file's size
_FILLER = 512 * 512 * 9


def write_file(path: Path, megabytes: int) -> None:
    """Write a snapshot of about this size."""
    import torch

    from gen3d_tools.cameras.distributions.named import FixedCamera, GaussianLookAt
    from gen3d_tools.fields.render_config import RenderConfig
    from gen3d_tools.generators.families.eg3d import EG3DConfig, EG3DGenerator
    from gen3d_tools.generators.settings import ModelSettings
    from tests.support.official_models import KWARGS
    from tests.support.official_pickles import generator_node, persistent
    from tests.support.pickle_nodes import Layout, OfficialPickler

    settings = ModelSettings(
        render_config=RenderConfig(near=2.25, far=3.3),
        camera_distribution=GaussianLookAt(radius=2.7, fov_y_deg=13.4),
        default_view=FixedCamera(radius=2.7, fov_y_deg=13.4),
    )
    tensors = EG3DGenerator(EG3DConfig(super_resolution="8xdc"), settings).state_dict()
    module = "training.superresolution.SuperresolutionHybrid8XDC"
    sizes = {"z_dim": 512, "w_dim": 512, "img_resolution": 512, "channel_base": 32768, "channel_max": 512}
    kwargs = KWARGS | sizes | {"mapping_kwargs": {"num_layers": 2}, "sr_num_fp16_res": 4}
    kwargs |= {"rendering_kwargs": KWARGS["rendering_kwargs"] | {"superresolution_module": module}}
    rest = megabytes * 1_000_000 - 2 * sum(tensor.nbytes for tensor in tensors.values())
    filler = {f"b{i}": torch.randn(_FILLER) for i in range(max(0, rest) // (4 * _FILLER))}
    discriminator = persistent("DualDiscriminator", {"_parameters": filler, "_buffers": {}, "_modules": {}})
    networks = [
        generator_node("eg3d", kwargs, {name: tensor.clone() for name, tensor in tensors.items()}) for _ in range(2)
    ]
    with path.open("wb") as file:
        OfficialPickler(file, Layout()).dump({"G": networks[0], "D": discriminator, "G_ema": networks[1]})


def load_file(path: Path) -> None:
    """Load the generator."""
    import gen3d_tools as g3

    g3.load_generator(path, device="cpu")


def convert_file(path: Path) -> None:
    """Convert it to a model folder, which is reloaded and compared."""
    from gen3d_tools.workflows.convert import convert

    convert(path, out=path.with_suffix(""))


def run(megabytes: int) -> dict[str, dict[str, float]]:
    """Write the file, then load and convert it; give seconds and peak memory in bytes of each step."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="gen3d-bench-") as folder:
        path = Path(folder) / "synthetic.pkl"
        for step in ("write", "load", "convert"):
            words = ["-m", "benchmarks.official", "--step", step, "--path", str(path), "--megabytes", str(megabytes)]
            seconds, output = in_own_process(words)
            found[step] = {"seconds": seconds, **last_json(output)}
        found["file"] = {"bytes": path.stat().st_size}
    return found


def main() -> None:
    """Measure and print, or do one step in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.official", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=PUBLISHED_MEGABYTES)
    parser.add_argument("--step", choices=("write", "load", "convert"), help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        steps = {"load": load_file, "convert": convert_file}
        if options.step == "write":
            write_file(options.path, options.megabytes)
        else:
            steps[options.step](options.path)
        sys.stdout.write(json.dumps({"peak_bytes": peak_bytes()}) + "\n")
        return
    found = run(options.megabytes)
    size = found["file"]["bytes"]
    print(f"file of {size / 1e6:.0f} MB; wanted: load within {WANTED_SECONDS:g} s and {WANTED_MEMORY} x the file")
    for step in ("load", "convert"):
        peak = found[step]["peak_bytes"]
        print(f"{step:8} {found[step]['seconds']:5.1f} s   {peak / 1e6:5.0f} MB = {peak / size:.2f} x the file")


if __name__ == "__main__":
    main()
