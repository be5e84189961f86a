"""The samples' fixed positions are one row, not one per ray: a picture of 2048 x 2048 has four million rays."""

import torch

from gen3d_tools.rendering.volume.tracing import rows_of


def test_a_repeated_row_stays_one_row():
    row = torch.arange(5.0).expand(1000, -1)
    chosen = torch.arange(1000) % 2 == 0
    kept = rows_of(row, chosen)
    assert kept.shape == (500, 5)
    assert kept.stride(0) == 0
    assert torch.equal(kept, row[chosen])


def test_rows_of_their_own_are_chosen_one_by_one():
    rows, chosen = torch.randn(4, 2), torch.tensor([True, False, True, True])
    assert torch.equal(rows_of(rows, chosen), rows[chosen])
