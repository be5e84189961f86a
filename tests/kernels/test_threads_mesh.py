"""Meshes come out the same, to the last bit, on any number of real threads: each number in a process of its own."""

import pytest

from tests.kernels.conftest import on_threads

MESH = """
import hashlib, json, os, sys
import numpy as np
import torch
import gen3d_tools as g3
from gen3d_tools.fields.compiled import kernel_threads
os.sched_getaffinity = lambda process: set(range(64))  # as if there were processors enough
torch.set_num_threads(int(sys.argv[2]))
generator = g3.load_generator(sys.argv[1], device="cpu")
(field,) = generator.fields(generator.latents([3], ["cube"]))
mesh = g3.extract_mesh(field, resolution=64, keep=0)
small = g3.extract_mesh(field, resolution=64, keep=0, faces=len(mesh.faces) // 3)
digests = {}
for name, one in (("mesh", mesh), ("fewer faces", small)):
    arrays = (one.vertices, one.faces, one.vertex_normals, one.visual.vertex_colors)
    digests[name] = [hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for array in arrays]
print(json.dumps({"digests": digests, "threads": kernel_threads(), "faces": len(mesh.faces)}))
"""


@pytest.mark.slow
def test_every_byte_is_the_same_on_one_two_and_four_threads(tiny_folder):
    one, two, four = on_threads(MESH, tiny_folder, 1, 2, 4)
    assert [made["threads"] for made in (one, two, four)] == [1, 2, 4]
    assert one["faces"] > 1000
    assert one["digests"] == two["digests"] == four["digests"]
