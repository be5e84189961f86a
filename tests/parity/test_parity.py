"""Every recorded case, through what users call: a pickle as published, `load_generator`, fields, pictures."""

import pytest
import torch

from tests.parity.cases import GOLDEN, Report, discover
from tests.parity.families import CHECKERS

CASES = [case for case in discover() if case.family in CHECKERS]


def test_there_are_cases_and_each_has_a_checker():
    families = {case.family for case in discover()}
    assert families, f"{GOLDEN} holds no cases"
    assert families <= set(CHECKERS)


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_what_was_recorded(case, tmp_path):
    report = Report()
    with torch.no_grad():
        CHECKERS[case.family](case, tmp_path, report)
    assert report.figures, "nothing was compared"
    assert not report.failures, "\n".join(report.failures)
