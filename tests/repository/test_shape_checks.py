"""The shapes in signatures are checked while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from gen3d_tools.rendering.volume.compositing import march_rays
from tests.support.shapes import EVERY, FIRST, begin_test, checking_some_calls


def test_a_wrong_shape_is_refused():
    march_rays(torch.zeros(2, 5), torch.linspace(0, 1, 5).expand(2, 5), torch.relu, marcher="classical")
    with pytest.raises(TypeCheckError):
        march_rays(torch.zeros(2, 5), torch.linspace(0, 1, 4).expand(2, 4), torch.relu, marcher="classical")


def test_first_calls_of_each_test_are_checked_and_then_every_so_many():
    checked = []

    def decorate(**options):
        return lambda fn: lambda number: checked.append(number) or fn(number)

    double = checking_some_calls(decorate)(typechecker=None)(lambda number: 2 * number)
    calls = range(1, 3 * EVERY + 1)
    assert [double(number) for number in calls] == [2 * number for number in calls]
    assert checked == [*range(1, FIRST + 1), EVERY, 2 * EVERY, 3 * EVERY]
    begin_test()
    checked.clear()
    double(7)
    assert checked == [7]
