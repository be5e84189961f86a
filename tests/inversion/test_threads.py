"""On how many threads an inversion computes."""

import pytest
import torch

from gen3d_tools.generators.loading import load_generator
from gen3d_tools.inversion import threads
from gen3d_tools.inversion.api import find_helpers
from gen3d_tools.inversion.pti import invert
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.threads import steady_threads
from gen3d_tools.kernels.compiling.threads import allotted_threads
from tests.inversion.test_pti import QUICK, _photo


@pytest.fixture
def two_threads():
    """Let torch have two threads, and its own number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_torch_works_on_one_thread_for_a_small_network(two_threads, tiny_generator):
    seen = set()
    invert(
        tiny_generator,
        _photo(tiny_generator),
        settings=QUICK,
        progress=lambda step: seen.add((torch.get_num_threads(), allotted_threads())),
    )
    assert seen == {(1, 2)}
    assert torch.get_num_threads() == 2


def test_large_networks_have_all_threads(two_threads, tiny_generator, monkeypatch):
    monkeypatch.setattr(threads, "_SMALL", 10)
    with steady_threads(tiny_generator):
        assert (torch.get_num_threads(), allotted_threads()) == (2, 2)


@pytest.mark.slow
def test_threads_change_no_byte_of_a_result(two_threads):
    """Of the bundled model, the spread of whose latents torch finds in other sums on two threads."""
    generator = load_generator("shapes", device="cpu")
    encoder, distance = find_helpers(generator)
    photo = _photo(generator, side=32)
    settings = QUICK.changed(resolution=32, w_samples=InversionSettings().stage_one.w_samples)
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(invert(generator, photo, settings=settings, encoder=encoder, distance=distance))
    one, two = results
    assert torch.equal(one.ws, two.ws)
    for first, second in zip(one.generator.parameters(), two.generator.parameters(), strict=True):
        assert torch.equal(first, second)
