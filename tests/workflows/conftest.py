import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Generators are tiny here."""
