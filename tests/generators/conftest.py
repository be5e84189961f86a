import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(coarse_occupancy_grid):
    """Generators are tiny here."""
