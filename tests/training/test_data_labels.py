"""What `dataset.json` may say of pictures, and what is refused in a line that names it."""

import json
import math
from pathlib import Path

import pytest

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.training.data.labels import read_labels

NAMES = ("a/0.png", "b/1.png")
CLASSES = [["a/0.png", 0], ["b/1.png", 1]]


def read(table, names=NAMES, data_set=""):
    return read_labels(json.dumps(table).encode(), names, Path("set/dataset.json"), data_set)


def refused(table, *parts, names=NAMES, data_set=""):
    with pytest.raises(InputError) as caught:
        read(table, names, data_set)
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


@pytest.mark.parametrize("name", ["", "/"])
def test_an_entry_that_names_no_picture_is_refused(name):
    refused({"labels": [*CLASSES, [name, 0]]}, f"entry for '{name}', which names no picture")


def test_names_are_found_without_their_suffix():
    assert read({"labels": [["a/0.jpg", 1], ["b/1", 0]]}).classes.tolist() == [1, 0]
    assert read({"labels": {"x.png": 0, "x.jpg": 1}}, ("x.jpg", "x.png")).classes.tolist() == [1, 0]


def test_names_are_found_with_and_without_the_name_of_the_set():
    def classes(names, labels):
        return read({"labels": labels}, names, data_set="cars").classes.tolist()

    assert classes(("a.png", "b.png"), {"cars/a.png": 1, "cars/b": 0}) == [1, 0]
    assert classes(("cars/a.png", "cars/b.png"), {"a.png": 1, "b.png": 0}) == [1, 0]
    assert classes(("a.jpg", "a.png"), {"cars/a.png": 0, "cars/a.jpg": 1}) == [1, 0]
    refused({"labels": {"cars/a.png": 0}}, "no labels entry for a.png", names=("a.png",))
    refused({"labels": {"cars/a.png": 0}}, "for a.png", names=("a.png", "cars/a.png"), data_set="cars")


def test_contradictory_entries_are_refused():
    refused({"labels": [*CLASSES, ["a/0.png", 1]]}, "more than one entry for a/0.png")
    refused({"labels": [["a/0.jpg", 0], ["a/0.bmp", 1], CLASSES[1]]}, "for a/0.jpg and a/0.bmp", "meant for a/0.png")
    refused({"labels": {"x.jpg": 0}}, "no labels entry for x.png", names=("x.jpg", "x.png"))


def test_misspelt_keys_are_refused():
    refused({"label": CLASSES}, "the key 'label'", "did you mean labels?")
    refused({"labels": CLASSES, "class names": ["a", "b"]}, "did you mean class_names?")
    refused({"ids": []}, "none of the keys labels, class_names, camera_angles", "its keys: ids")
    refused({}, "its keys: none")


def test_names_of_classes_without_classes_are_refused():
    refused({"class_names": ["a", "b"]}, "class_names and no labels", '[["a/0.png", 0], ...]')
    refused({"labels": None, "class_names": ["a"]}, "class_names and no labels")
    assert read({"labels": None, "class_names": []}).class_names == ()


@pytest.mark.parametrize(
    ("value", "found"), [("cat", "is 'cat'"), (0.5, "is 0.5"), (["1"] * 25, "is a list of 25, with '1' in it")]
)
def test_labels_that_are_neither_classes_nor_cameras_say_what_they_are(value, found):
    refused({"labels": both(value, 0)}, f"labels of a/0.png {found}; needed are 25 numbers", "the number of a class")


def test_angles_are_not_told_to_be_classes():
    refused({"camera_angles": both([0.1, 1.5], [0.1, 1.5, 0])}, "is a list of 2; needed are 3 numbers")
    with pytest.raises(InputError) as caught:
        read({"camera_angles": both(0, 0)})
    assert "class" not in str(caught.value)


def test_keys_of_other_programs_are_passed_over():
    table = {"labels": CLASSES, "labels2": 1, "classes": [], "cameras": [], "captions": [], "note": "mine"}
    assert read(table).classes.tolist() == [0, 1]
    assert read({"labels": None}).classes is None


def both(good, bad):
    return [["a/0.png", good], ["b/1.png", bad]]


CAMERA = Camera.from_spherical(30.0, 10.0, 2.7, fov_y_deg=20.0).to_eg3d_label().tolist()


def test_cameras_are_read():
    assert read({"labels": both(CAMERA, CAMERA)}).cameras.shape == (2, 25)
    edges = both([-math.pi, 0.0, 0.0], [math.pi, math.pi, 9.0])
    assert read({"camera_angles": edges}).angles.shape == (2, 3)


@pytest.mark.parametrize("bad", [[0.0] * 25, [-1 * CAMERA[0], *CAMERA[1:]], [*CAMERA[:16], *[0.0] * 9]])
def test_what_is_no_camera_is_named_by_its_picture(bad):
    refused({"labels": both(CAMERA, bad)}, "labels of b/1.png is no camera: ")


@pytest.mark.parametrize("bad", [[90, 60, 0], [0, 60, 0], [0.1, -0.1, 0]])
def test_angles_that_are_no_radians_are_named_by_their_picture(bad):
    refused({"camera_angles": both([0.1, 1.5, 0], bad)}, "camera_angles of b/1.png has yaw", "give radians")


def test_numbers_that_are_not_finite_are_named_by_their_picture():
    refused({"camera_angles": both([0.1, 1.5, 0], [0.1, 1.5, 1e300])}, "camera_angles of b/1.png", "not finite")
