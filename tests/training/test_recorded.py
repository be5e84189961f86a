"""The reading of recorded training cases: whatever its name, a case has a test, or this fails."""

import pytest

from tests.parity.cases import GOLDEN, OWN
from tests.training.recorded import KINDS, cases, kind_of, kinds, parts


def test_every_case_has_a_checker():
    strange = [name for name, kind in kinds().items() if kind is None]
    assert not strange, f"no test reads {', '.join(strange)}"


@pytest.mark.skipif(GOLDEN.resolve() != OWN.resolve(), reason="another folder may hold a few kinds only")
@pytest.mark.parametrize("kind", KINDS)
def test_every_checker_has_a_case(kind):
    assert cases(kind)


def test_every_discriminator_with_features_is_tried_with_each_distance():
    with_features = {name for name, _ in parts("patch_discriminator", r"out\.(feats)")}
    assert with_features == {name for name, _ in parts("patch_discriminator", r"out\.kd_(\w+)_unweighted")}


def test_kinds_are_told_by_what_a_case_holds():
    assert kind_of(["in.scales", "out.logits", "params.D.b4.fc.weight"]) == "patch_discriminator"
    assert kind_of(["in.image", "in.image_raw", "out.logits"]) == "dual_discriminator"
    assert kind_of(["in.Gall.z", "out.stat.Gall.Loss_G_loss"]) == "patchwise_step"
    assert kind_of(["in.words", "out.words"]) is None
