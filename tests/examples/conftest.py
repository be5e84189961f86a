import sys
from pathlib import Path

import pytest
import torch

SHAPES_FOLDER = str(Path(__file__).parents[2] / "examples" / "shapes")


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Generators and films are tiny here."""


@pytest.fixture(scope="module")
def shapes_on_path():
    """The recipe's files import each other by name, as they do when `train.py` is run."""
    sys.path.insert(0, SHAPES_FOLDER)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other
    yield
    torch.set_num_threads(threads)
    sys.path.remove(SHAPES_FOLDER)
