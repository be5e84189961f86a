"""Networks are built without computing anything where their numbers come from a file."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.generators.small_families import FAMILIES


class Operators(TorchDispatchMode):
    """Notes every operator of torch that runs."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.name())
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", FAMILIES)
def test_on_meta_memory_is_described_and_nothing_is_computed(name):
    with torch.device("meta"), Operators() as operators:
        generator = FAMILIES[name]()
    assert all(tensor.is_meta for tensor in generator.state_dict().values())
    assert operators.names <= {"aten::empty.memory_format", "aten::detach"}


@pytest.mark.parametrize("name", FAMILIES)
def test_elsewhere_every_number_is_initialised(name):
    tensors = FAMILIES[name]().state_dict()
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert all(tensor.std() > 0 for key, tensor in tensors.items() if key.endswith("weight") and tensor.any())
