"""Networks are built without computing anything where their numbers come from a file, and described without them."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gen3d_tools.workflows.describe import describe_model
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


@pytest.mark.parametrize("name", FAMILIES)
def test_trained_numbers_are_counted_from_the_names_on_disk_as_from_the_network(name, tmp_path):
    generator = FAMILIES[name]()
    generator.save(tmp_path / "model")
    info = describe_model(tmp_path / "model")
    assert info.parameters == generator.num_parameters()
    assert info.network == generator.config.to_dict()
