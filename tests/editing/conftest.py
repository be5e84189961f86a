import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(coarse_occupancy_grid):
    """What changes from edit to edit is seen with any lattice."""
