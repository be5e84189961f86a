"""Pictures come out the same, to the last bit, on any number of real threads: each number in a process of its own."""

import pytest

from gen3d_tools.kernels.compiling.threads import share_out
from tests.kernels.conftest import on_threads

PICTURES = """
import hashlib, json, sys, threading
import numpy as np
import torch
import gen3d_tools as g3
from gen3d_tools.kernels.meshes.raster import rasterize
from gen3d_tools.kernels.rays import occupancy
occupancy.CELLS = 48
torch.set_num_threads(int(sys.argv[2]))
generator = g3.load_generator(sys.argv[1], device="cpu")
(field,) = generator.fields(generator.latents([3], ["cube"]))
made = {}
for sampling in ("default", "published"):
    frames = g3.render(field, generator.default_camera(), resolution=40, sampling=sampling)
    made |= {f"{name}, {sampling}": getattr(frames, name).numpy() for name in ("rgb", "depth", "opacity")}
corners = np.random.RandomState(0).uniform(1, 40, (300, 3, 3))
made |= {f"raster {name}": array for name, array in rasterize(corners, 40)._asdict().items()}
digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in made.items()}
workers = sum(thread.name.startswith("gen3d-kernels") for thread in threading.enumerate())
print(json.dumps({"digests": digests, "workers": workers, "spread": float(frames.rgb.std())}))
"""


@pytest.mark.slow
def test_every_byte_is_the_same_on_one_two_and_four_threads(tiny_folder):
    one, two, four = on_threads(PICTURES, tiny_folder, 1, 2, 4)
    assert one["workers"] == 0
    assert two["workers"] > 1
    assert four["workers"] > 1
    assert one["spread"] > 0.01
    assert one["digests"] == two["digests"] == four["digests"]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_ranges_cover_the_work_once(monkeypatch, count):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 3)
    ranges = []
    share_out(lambda first, end: ranges.append((first, end)), count, threads=8, least=16)
    assert sorted(item for first, end in ranges for item in range(first, end)) == list(range(count))
    assert count < 1000 or len(ranges) > 8


def test_what_goes_wrong_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    with pytest.raises(ZeroDivisionError):
        share_out(lambda first, _: 1 // first, 100, threads=2)
