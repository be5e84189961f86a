"""The four pictures of others: what they show is what their names say."""

import pytest
import torch
from scipy import ndimage


@pytest.fixture(scope="module")
def four(shapes_on_path):
    import four_pictures

    patch = pytest.MonkeyPatch()
    patch.setattr(four_pictures, "SIZE", 64)
    yield four_pictures
    patch.undo()


@pytest.mark.parametrize(("name", "objects"), [("wide-mug", 1), ("cartoon-car", 1), ("two-mugs", 2)])
def test_things_stand_apart_on_white(four, name, objects):
    picture = four.PICTURES[name]()
    assert picture.min() >= 0
    assert picture.max() <= 1
    labels, count = ndimage.label((picture.amin(0) < 0.9).numpy())
    sizes = torch.from_numpy(labels).flatten().bincount()[1:]
    assert int((sizes > 30).sum()) == objects
    assert count < objects + 3


def test_the_mug_before_a_gradient_is_red_and_its_page_is_grey(four):
    picture = four.red_mug()
    red, green, _ = picture
    mug = red > 2 * green + 0.1
    assert 0.1 < mug.float().mean() < 0.6
    corner = picture[:, :4, :4].flatten(1)
    assert (corner.amax(0) - corner.amin(0)).max() < 0.01
    assert picture[:, -1].mean() > picture[:, 0].mean() + 0.2


def test_a_wide_mug_is_wider_than_it_is_high_and_its_handle_shows(four):
    seen = four.wide_mug().amin(0) < 0.9
    rows, columns = seen.any(1).sum(), seen.any(0).sum()
    assert columns > 1.2 * rows
    hole = ndimage.binary_fill_holes(seen.numpy()) & ~seen.numpy()
    assert hole.sum() > 5
