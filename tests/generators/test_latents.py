"""What people type: seeds, classes, keyframes. One seed is one latent in every batch."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.testing import assert_close

from gen3d_tools.errors import InputError
from gen3d_tools.generators.latents import interpolate_ws, latent_z, parse_classes, parse_seeds, ws_spline

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "eg3d" / "camera.safetensors")
CLASSES = ["car", "chair", "lamp", "mug", "Table", "7", "tench, Tinca tinca"]


def test_latents_are_those_of_the_original_scripts():
    z = latent_z([4, 2**32 - 1], 512)
    expected = np.random.RandomState(4).randn(1, 512).astype(np.float32)
    assert z.dtype == torch.float32
    assert torch.equal(z[:1], torch.from_numpy(expected))


def test_a_seed_is_the_same_latent_in_every_batch():
    assert torch.equal(latent_z(range(5), 8)[3], latent_z([9, 3], 8)[1])
    assert latent_z([], 8).shape == (0, 8)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_numpy_cannot_take_is_refused(seed):
    with pytest.raises(InputError, match=f"between 0 and 4294967295, got {seed}"):
        latent_z([0, seed], 8)


def test_interpolation_matches_the_recorded_loop():
    frames = interpolate_ws(GOLDEN["in.interp.keyframes"], 8)
    assert frames.dtype == torch.float32
    assert_close(frames, GOLDEN["out.interp.frames"].float(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_interpolation_passes_through_the_keyframes(count, loop):
    keyframes = torch.randn(count, 4, 6, generator=torch.Generator().manual_seed(count))
    frames = interpolate_ws(keyframes, 7, loop=loop)
    assert len(frames) == (7 * count if loop else 7 * (count - 1) + 1)
    assert_close(frames[::7], keyframes, atol=1e-5, rtol=1e-5)


def test_a_loop_closes_as_smoothly_as_it_runs():
    keyframes = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    frames = interpolate_ws(keyframes, 50)
    steps = (frames.roll(-1, 0) - frames).flatten(1)
    bends = (steps.roll(-1, 0) - steps).norm(dim=1)
    assert bends[-3:].max() < 2 * bends[:-3].max()


def test_an_open_path_of_two_is_a_straight_line():
    frames = interpolate_ws(torch.tensor([0.0, 3.0]).reshape(2, 1, 1), 3, loop=False)
    assert_close(frames.flatten(), torch.tensor([0.0, 1.0, 2.0, 3.0]))


def test_the_curve_gives_single_frames_of_the_film_and_closes():
    keyframes = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    curve = ws_spline(keyframes)
    assert torch.equal(curve(np.array([1.25])), interpolate_ws(keyframes, 4)[5:6])
    assert_close(curve(np.array([3.0])), keyframes[:1], atol=1e-5, rtol=1e-5)
    assert torch.equal(ws_spline(keyframes[:1])(np.array([0.0, 7.5])), keyframes[[0, 0]])


def test_nothing_to_interpolate_is_refused():
    with pytest.raises(InputError, match="at least 1 keyframe"):
        ws_spline(torch.zeros(0, 1, 1))
    with pytest.raises(InputError, match="at least 1 keyframe"):
        interpolate_ws(torch.zeros(0, 1, 1), 3)
    with pytest.raises(InputError, match="1 frame each, got 2 and 0"):
        interpolate_ws(torch.zeros(2, 1, 1), 0)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("0,2,5-9", [0, 2, 5, 6, 7, 8, 9]),
        (" 3 , 3-3 ", [3, 3]),
        ("9,1", [9, 1]),
        ("4294967295", [2**32 - 1]),
        ("007", [7]),
    ],
)
def test_seeds_are_read_in_order(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("1,,2", "empty"),
        ("1,", "empty"),
        ("-3", "'-3'; seeds are whole numbers from 0"),
        ("1--3", "cannot read seed"),
        ("9-5", "range 9-5 runs backwards; write 5-9"),
        ("1.5", "cannot read seed '1.5'"),
        ("a", "cannot read seed 'a'"),
        ("0x10", "cannot read seed"),
        ("²", "cannot read seed"),
        ("٣", "cannot read seed"),
        ("4294967296", "between 0 and 4294967295, got 4294967296"),
        ("0-4294967296", "got 4294967296"),
        ("0-99999999999999999999", "got 99999999999999999999"),
        ("9" * 30, "too large a number"),
        ("0-4294967295", "more than 100000 seeds"),
        ("0-60000,0-60000", "more than 100000 seeds"),
        ("1\n2", "cannot read seed '1 2'"),
        ("x" * 500, r"cannot read seed 'x+…x+'"),
    ],
)
def test_seeds_that_cannot_be_read_are_refused_quickly_in_one_line(text, message):
    start = time.perf_counter()
    with pytest.raises(InputError, match=message) as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert time.perf_counter() - start < 0.5


@given(st.text(max_size=20))
def test_any_text_gives_seeds_or_an_input_error(text):
    try:
        seeds = parse_seeds(text)
    except InputError:
        return
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("mug", [3]),
        ("MUG", [3]),
        ("table,car", [4, 0]),
        ("1,2", [1, 2]),
        ("0-2,mug,0", [0, 1, 2, 3, 0]),
        ("7", [5]),  # a name wins over an index
        ("tench, Tinca tinca", [6]),
    ],
)
def test_classes_are_names_indices_and_ranges(text, indices):
    assert parse_classes(text, CLASSES) == indices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mugg", r"unknown class 'mugg'; did you mean mug\? classes: car, chair, lamp, mug"),
        ("tabel", r"did you mean Table\?"),
        ("zzzzzz", "unknown class 'zzzzzz'; classes: car"),
        ("8", "there is no class 8; indices run from 0 to 6"),
        ("0-99999999999", "there is no class 99999999999"),
        ("2-1", "runs backwards"),
        ("-1", "unknown class '-1'"),
        ("", "empty"),
        ("mug,", "empty"),
    ],
)
def test_a_class_that_is_not_there_is_answered_with_near_names(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_classes(text, CLASSES)
    assert "\n" not in str(caught.value)


CRANES = ["crane", "Crane", "crane", "heron"]


@pytest.mark.parametrize(("text", "indices"), [("crane 2", [2]), ("CRANE 0,heron", [0, 3]), ("Crane", [1]), ("2", [2])])
def test_classes_of_one_name_are_chosen_by_their_index(text, indices):
    assert parse_classes(text, CRANES) == indices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crane", "2 classes are called 'crane'; choose crane 0 or crane 2"),
        ("CRANE", "3 classes are called 'CRANE'; choose crane 0 or Crane or crane 2"),
        ("crame 2", "unknown class 'crame 2'; did you mean crane 2 or crane 0"),
    ],
)
def test_a_name_of_several_classes_is_answered_with_all_of_them(text, message):
    with pytest.raises(InputError, match=message):
        parse_classes(text, CRANES)


def test_a_thousand_classes_are_not_all_listed():
    with pytest.raises(InputError, match=r"and 988 more") as caught:
        parse_classes("dog", [f"breed {number}" for number in range(1000)])
    assert len(str(caught.value)) < 300


def test_a_model_without_classes_says_so():
    with pytest.raises(InputError, match="this model has no classes"):
        parse_classes("mug", [])


TOYS = ("car", "house", "mug", "sailboat", "tree")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("boat", "sailboat"),
        ("boats", "sailboat"),
        ("Cup", "mug"),
        ("auto", "car"),
        ("automobile", "car"),
        ("spruce", "tree"),
    ],
)
def test_words_for_a_class_suggest_it(typed, meant):
    with pytest.raises(InputError, match=rf"unknown class '{typed}'; did you mean {meant}\?"):
        parse_classes(typed, TOYS)


def test_a_word_that_is_only_spelled_a_little_alike_suggests_nothing():
    with pytest.raises(InputError, match="unknown class 'bus'; classes: car"):
        parse_classes("bus", TOYS)


def test_every_word_means_a_class_of_the_bundled_model():
    from gen3d_tools.generators.synonyms import MEANT
    from gen3d_tools.workflows.describe import classes_record

    assert set(MEANT.values()) <= {row["name"] for row in classes_record("shapes")["classes"]}
