import pytest

from gen3d_tools.viewer.drawing import look
from tests.viewer.recording_page import PIXELS


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Generators are tiny here."""


@pytest.fixture(autouse=True)
def _a_small_size_is_offered(monkeypatch):
    """Nothing that is said of pictures needs as many pixels as people do."""
    monkeypatch.setattr(look, "SIZES", (PIXELS, *look.SIZES))
