import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Photos and generators are tiny here."""
