"""The template test over every family that can be loaded."""

from functools import partial
from pathlib import Path

import pytest

from gen3d_tools.generators.loading import FAMILIES
from gen3d_tools.generators.official import threedgp as official_threedgp
from tests.generators.family_template import FamilyCase, FamilyTests, make
from tests.support.official_models import GOLDEN, eg3d_bytes, recorded_bytes
from tests.support.stylenerf_generators import stylenerf_bytes

CASES = {
    case.family: case
    for case in (
        FamilyCase("eg3d", eg3d_bytes),
        FamilyCase("epigraf", partial(recorded_bytes, "epigraf")),
        FamilyCase("threedgp", partial(recorded_bytes, "threedgp", classes=True)),
        FamilyCase("geometry_aware"),
        FamilyCase("stylenerf", stylenerf_bytes),
        FamilyCase("volumegan", (GOLDEN / "volumegan" / "official_tiny.pth").read_bytes, suffix=".pth"),
    )
}


def test_every_family_has_a_case():
    assert set(CASES) == set(FAMILIES)


@pytest.fixture(scope="module", params=list(CASES))
def made(request, tmp_path_factory):
    case = CASES[request.param]
    if case.published is None:
        generator = request.getfixturevalue("tiny_generator")
        case = FamilyCase(case.family, generator=lambda: generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(official_threedgp, "MEAN_CAMERA_SAMPLES", 16)
        folder: Path = tmp_path_factory.mktemp(case.family)
        yield make(case, folder)


class TestFamilies(FamilyTests):
    """The template over all of them."""
