"""What every test may rely on: marked tests are skipped where their hardware or files are missing."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("checkpoint") and not os.environ.get("GEN3D_CHECKPOINTS"):
            item.add_marker(pytest.mark.skip(reason="needs published weights: set GEN3D_CHECKPOINTS to their folder"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
