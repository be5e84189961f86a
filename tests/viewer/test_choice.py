"""Which object is looked at: what the latents are, what is refused, and the way back."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.choice import Choice, History, base_ws, check_choice, first_choice

CHOICE = Choice(model="tiny", seed=3, class_index=1)


def test_a_plain_choice_is_what_the_commands_make(tiny_generator):
    expected = tiny_generator.latents([3], ["cube"], truncation_psi=0.7)
    assert torch.equal(base_ws(tiny_generator, replace(CHOICE, psi=0.7)), expected)


def test_a_blend_begins_and_ends_at_its_seeds(tiny_generator):
    blended = [base_ws(tiny_generator, replace(CHOICE, second_seed=4, blend=share)) for share in (0, 0.5, 1)]
    first, second = (tiny_generator.latents([seed], ["cube"]) for seed in (3, 4))
    torch.testing.assert_close(blended[0], first)
    torch.testing.assert_close(blended[2], second)
    torch.testing.assert_close(blended[1], (first + second) / 2)


def test_mixed_layers_are_the_other_seeds_and_the_rest_are_not(tiny_generator):
    mixed = base_ws(tiny_generator, replace(CHOICE, style_seed=9, mixed=(1, 3)))
    own, other = (tiny_generator.latents([seed], ["cube"]) for seed in (3, 9))
    assert torch.equal(mixed[:, 1:3], other[:, 1:3])
    assert torch.equal(mixed[:, :1], own[:, :1])
    assert torch.equal(mixed[:, 3:], own[:, 3:])


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 2**32},
        {"seed": None},
        {"class_index": 2},
        {"class_index": None},
        {"psi": 5.0},
        {"psi": float("nan")},
        {"blend": 1.5},
        {"mixed": (0, 99)},
    ],
)
def test_what_a_page_cannot_mean_is_refused(tiny_generator, changes):
    with pytest.raises(InputError):
        check_choice(replace(CHOICE, **changes), tiny_generator)


def test_options_say_a_plain_object_and_no_other(tiny_generator):
    assert replace(CHOICE, psi=0.5).after(tiny_generator) == "tiny --class cube --seeds 3 --psi 0.5"
    with pytest.raises(InputError, match="blend"):
        replace(CHOICE, blend=0.2).after(tiny_generator)


def test_a_session_begins_with_the_first_of_what_is_named(tiny_generator):
    assert first_choice(tiny_generator, "tiny", "5-9", "cube,ball").seed == 5
    assert first_choice(tiny_generator, "tiny", "5-9", "cube,ball").class_index == 1


def test_the_way_back_is_that_of_a_browser():
    history = History()
    for seed in range(4):
        history.add(replace(CHOICE, seed=seed))
    assert history.step(1) is None
    assert [history.step(-1).seed, history.step(-1).seed, history.step(1).seed] == [2, 1, 2]
    history.add(replace(CHOICE, seed=7))
    assert [one.seed for one in history.seen] == [0, 1, 2, 7]


def test_the_way_back_has_an_end():
    history = History()
    for seed in range(3 * History.LONGEST):
        history.add(replace(CHOICE, seed=seed))
    assert len(history.seen) == History.LONGEST
    assert history.step(-1).seed == 3 * History.LONGEST - 2
