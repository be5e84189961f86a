import inspect

import pytest

from gen3d_tools import errors

TREE = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
EXIT_CODES = {
    "Gen3DError": 1,
    "PlaceError": 1,
    "InputError": 2,
    "NotFoundError": 3,
    "CheckpointError": 4,
    "MissingDependencyError": 5,
    "OutOfMemoryError": 6,
    "BatchError": 7,
    "OutOfDistributionError": 8,
}


def test_exit_codes_are_the_documented_ones():
    assert {error.__name__: error.exit_code for error in TREE} == EXIT_CODES


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_every_error_is_caught_by_the_root_and_keeps_its_message(error):
    with pytest.raises(errors.Gen3DError, match=r"^found 1, needed 2$"):
        raise error("found 1, needed 2")


def test_a_bad_argument_is_a_value_error_too():
    with pytest.raises(ValueError, match="given"):
        raise errors.InputError("given -1")


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_the_drawn_tree_shows_every_error_with_its_exit_code(error):
    line = next(line for line in (errors.__doc__ or "").splitlines() if error.__name__ in line)
    assert f"exit {error.exit_code} " in line
