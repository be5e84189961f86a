"""What `dataset.json` may say of pictures, and what is refused in a line that names it."""

import json
from pathlib import Path

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.training.data.labels import read_labels

NAMES = ("a/0.png", "b/1.png")
CLASSES = [["a/0.png", 0], ["b/1.png", 1]]


def read(table, names=NAMES):
    return read_labels(json.dumps(table).encode(), names, Path("set/dataset.json"))


def refused(table, *parts, names=NAMES):
    with pytest.raises(InputError) as caught:
        read(table, names)
    line = str(caught.value)
    assert line.startswith("set/dataset.json")
    assert line.isprintable()
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (5, "class_names is 5"),
        ("ab", "class_names is 'ab'"),
        ({"a": 0, "b": 1}, "class_names is a table of 2"),
        ([], "class_names is a list of 0"),
        (["a", None], "holds None"),
        (["a", {}], "holds a table of 0"),
        (["a", ""], "holds ''"),
        (["a", "b\u001b[2J"], "holds 'b\\x1b[2J'"),
        (["a", "a"], "holds 'a' more than once"),
    ],
)
def test_class_names_are_distinct_printable_texts(declared, found):
    refused({"labels": CLASSES, "class_names": declared}, found, "needed is a list of distinct printable texts")


@pytest.mark.parametrize("number", [-1, 100_000, 10**18])
def test_a_class_out_of_range_is_named_with_the_range(number):
    refused({"labels": [["a/0.png", 0], ["b/1.png", number]]}, f"b/1.png is {number}", "from 0 to 99999")
