"""Whole jobs in a process of their own, from the model's name to a file on disk: time and peak memory.

`python -m benchmarks.measuring.jobs mesh --model shapes --size 256` does one and prints a JSON object.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring.timing import in_own_process, last_json, peak_bytes

_HELP = "from gen3d_tools.cli.app import main; import sys; sys.argv = ['gen3d', '--help']; main()"


def help_seconds() -> float:
    """Seconds until `gen3d --help` has answered."""
    return in_own_process(["-c", _HELP])[0]


def run_job(job: str, model: str, *, size: int, frames: int, threads: int) -> tuple[float, int]:
    """Do a job in a child; give its seconds, start-up included, and its peak memory in bytes."""
    options = {"--model": model, "--size": size, "--frames": frames, "--threads": threads}
    words = [str(word) for option in options.items() for word in option]
    elapsed, output = in_own_process(["-m", "benchmarks.measuring.jobs", job, *words])
    return elapsed, last_json(output)["peak_bytes"]


def make_mesh(model: str, size: int, folder: Path) -> None:
    """Mesh one sample with its colours and write it as .glb."""
    import gen3d_tools as g3
    from gen3d_tools.geometry.formats.export import write_mesh

    generator = g3.load_generator(model, device="cpu")
    (field,) = generator.fields(generator.latents([0], truncation_psi=0.7))
    write_mesh(folder / "mesh.glb", g3.extract_mesh(field, resolution=size))


def make_orbit(model: str, size: int, frames: int, folder: Path) -> None:
    """Film one sample from all around and write it as .mp4."""
    import gen3d_tools as g3
    from gen3d_tools.media.video import VideoWriter

    generator = g3.load_generator(model, device="cpu")
    (field,) = generator.fields(generator.latents([0], truncation_psi=0.7))
    with VideoWriter(folder / "orbit.mp4", fps=30) as video:
        for frame in g3.render_frames(field, g3.orbit(frames, generator.default_camera()), resolution=size):
            video.add(frame.rgb)


def main() -> None:
    """Do the job that the command line names."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=("mesh", "orbit"))
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--size", type=int, default=128, help="lattice points or pixels along each side")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.job == "mesh":
            make_mesh(options.model, options.size, Path(folder))
        else:
            make_orbit(options.model, options.size, options.frames, Path(folder))
    sys.stdout.write(json.dumps({"peak_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main()
