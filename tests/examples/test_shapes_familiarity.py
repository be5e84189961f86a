"""The threshold below which photos are refused lies between the toys and everything else."""

import importlib

import pytest
import torch

from gen3d_tools.perception.encoder import load_encoder
from gen3d_tools.perception.out_of_distribution import STRANGER_BELOW


@pytest.fixture(scope="module")
def familiarity(shapes_on_path):
    return importlib.import_module("familiarity")


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("shapes")


@pytest.mark.slow
def test_no_held_out_toy_is_refused(familiarity, encoder):
    scores = familiarity.familiarity(encoder, familiarity.toys(30, first=2000))  # three of each class
    assert float(scores.min()) >= STRANGER_BELOW


@pytest.mark.slow
def test_drawn_strangers_of_every_kind_are_refused(familiarity, encoder):
    for name, pictures in familiarity.strangers(4).items():
        assert float(familiarity.familiarity(encoder, pictures).max()) < STRANGER_BELOW, name


def test_a_row_counts_who_is_refused(familiarity):
    row = familiarity.line("cups", torch.tensor([0.01, 0.1, 0.9]))
    assert row == "| cups | 3 | 0.010 | 0.100 | 0.900 | 2 |"
