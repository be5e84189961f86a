"""`gen3d align --preset object`: photos of objects in, pictures that `gen3d train` takes out."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gen3d_tools.media.images import read_image
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.sections import DataSection


def photo(path, *, size=(320, 200), box=(200, 60, 280, 160), colour="#a03020", behind="#c8d4e0", **options):
    """A disc in front of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, behind)
    if box is not None:
        ImageDraw.Draw(image).ellipse(box, fill=colour)
    image.save(path, **options)


@pytest.fixture
def photos(gen3d, tmp_path):
    """Two folders of photos, and what lies about beside them."""
    photo(tmp_path / "photos" / "ball" / "one.jpg", quality=95)
    photo(tmp_path / "photos" / "ball" / "two.PNG", size=(150, 300), box=(20, 30, 120, 110), colour="#2050c0")
    photo(tmp_path / "photos" / "egg" / "one.png", box=(30, 20, 90, 150))
    (tmp_path / "photos" / "Thumbs.db").write_bytes(b"no photo")
    photo(tmp_path / "photos" / ".cache" / "old.png")
    return tmp_path / "photos"


def box_of(path):
    """Left, top, right and bottom of what is not white, in picture sides."""
    rgb = read_image(path)
    rows, columns = np.nonzero((rgb.min(0).values < 0.9).numpy())
    side = rgb.shape[-1]
    return [columns.min() / side, rows.min() / side, (columns.max() + 1) / side, (rows.max() + 1) / side]


def test_objects_stand_on_white_in_the_middle_and_folders_are_classes(gen3d, photos, tmp_path):
    done = gen3d("align", "photos", "--preset", "object", "--size", "64", "-o", "cut")
    assert done.code == 0, done.err
    assert "3 objects of 2 classes" in done.err
    assert "gen3d train cut/pictures" in done.err
    made = tmp_path / "cut" / "pictures"
    content = json.loads((made / "dataset.json").read_text())
    assert content == {
        "labels": [["ball/one.png", 0], ["ball/two.png", 0], ["egg/one.png", 1]],
        "class_names": ["ball", "egg"],
    }
    for name, sides in {"ball/one.png": (0.64, 0.8), "ball/two.png": (0.8, 0.64), "egg/one.png": (0.37, 0.8)}.items():
        left, top, right, bottom = box_of(made / name)
        assert (right - left, bottom - top) == pytest.approx(sides, abs=0.04)
        assert (left + right, top + bottom) == pytest.approx((1, 1), abs=0.04)
        assert read_image(made / name)[:, 0, 0].tolist() == [1, 1, 1]
    learned = open_pictures(made, DataSection(resolution=64, mirror=False))
    assert (learned.count, learned.num_classes) == (3, 2)
    assert (tmp_path / "cut" / "overview.png").exists()


def test_files_of_one_folder_have_no_classes_and_names_of_their_own(gen3d, photos, tmp_path):
    photo(photos / "ball" / "one.png", colour="#10a040")
    done = gen3d("align", "photos/ball", "--preset", "object", "-o", "cut")
    assert done.code == 0, done.err
    names = sorted(one.name for one in (tmp_path / "cut" / "pictures").iterdir())
    assert names == ["one-2.png", "one.png", "two.png"]
    assert open_pictures(tmp_path / "cut" / "pictures", DataSection(resolution=128)).num_classes == 0


def test_photos_that_fail_are_named_and_the_rest_is_made(gen3d, photos, tmp_path):
    photo(photos / "ball" / "nothing.png", box=None)
    (photos / "egg" / "one.png").write_bytes(b"broken")
    done = gen3d("align", "photos", "--preset", "object", "-o", "cut")
    assert done.code == 7
    assert "2 failed" in done.err
    assert "nothing but background was found in photos/ball/nothing.png; leave it out, or --background none" in done.err
    content = json.loads((tmp_path / "cut" / "pictures" / "dataset.json").read_text())
    assert content == {"labels": [["ball/one.png", 0], ["ball/two.png", 0]], "class_names": ["ball"]}
    assert set(json.loads((tmp_path / "cut" / "run.json").read_text())["failed"]) == {
        "photos/ball/nothing.png",
        "photos/egg/one.png",
    }


def test_where_none_can_be_cut_out_nothing_is_written(gen3d, photos, tmp_path):
    photo(tmp_path / "plain.png", box=None)
    done = gen3d("align", "plain.png", "--preset", "object", "-o", "cut")
    assert done.code == 2
    assert not (tmp_path / "cut").exists()


def test_small_objects_are_enlarged_and_a_word_said(gen3d, photos, tmp_path):
    photo(tmp_path / "small.png", size=(60, 60), box=(20, 20, 40, 40))
    done = gen3d("align", "small.png", "--preset", "object", "-o", "cut")
    assert done.code == 0, done.err
    assert "small.png shows its object smaller than the 128 pixels asked for; it was enlarged" in done.err
    assert read_image(tmp_path / "cut" / "pictures" / "small.png").shape == (3, 128, 128)


def test_photos_beside_a_folder_of_photos_have_the_folder_they_lie_in_for_a_class(gen3d, photos, tmp_path):
    photo(tmp_path / "mine.png")
    done = gen3d("align", "mine.png", "photos/egg/one.png", "photos/egg", "--preset", "object", "-o", "cut")
    assert done.code == 0, done.err
    content = json.loads((tmp_path / "cut" / "pictures" / "dataset.json").read_text())
    here = tmp_path.name
    assert sorted(content["class_names"]) == sorted(["egg", here])
    assert sorted(name for name, _ in content["labels"]) == sorted(["egg/one.png", f"{here}/mine.png"])
    assert all((tmp_path / "cut" / "pictures" / name).exists() for name, _ in content["labels"])


def test_an_earlier_output_in_the_searched_folder_is_no_photo(gen3d, photos, tmp_path):
    for more in ([], ["--overwrite"]):
        done = gen3d("align", "photos", "--preset", "object", "-o", "photos/cut", *more)
        assert done.code == 0, done.err
        assert "3 objects of 2 classes" in done.err


def test_a_plan_writes_nothing(gen3d, photos, tmp_path):
    done = gen3d("align", "photos", "--preset", "object", "-o", "cut", "--dry-run")
    assert done.code == 0, done.err
    assert not (tmp_path / "cut").exists()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["photos", "--preset", "object", "--face", "1"], "--face is about faces; leave it out with --preset object"),
        (["photos", "--preset", "object", "--level"], "--level is about faces"),
        (["photos", "--size", "64"], "--size is about objects; add --preset object, or leave it out"),
        (["photos", "--preset", "object", "--size", "5"], "size is 5; pictures have 16 to 1024 pixels along a side"),
        (["photos", "--preset", "object", "--background", "sky"], "unknown background 'sky'"),
        (["photos", "--preset", "thing"], "there is no preset 'thing'; choose from eg3d-ffhq"),
        (["nowhere", "--preset", "object"], "no photo at nowhere"),
        (["empty", "--preset", "object"], "empty holds no photos (.png, .jpg"),
        (["empty"], "empty holds no photos (.png, .jpg"),
    ],
)
def test_what_does_not_fit_is_told_before_any_work(gen3d, photos, tmp_path, told, message):
    (tmp_path / "empty").mkdir()
    done = gen3d("align", *told, "-o", "cut")
    assert done.code in (2, 3)
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "cut").exists()
