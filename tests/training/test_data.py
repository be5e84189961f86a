"""Data sets: what is read, and that damage is one line that names the file."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.errors import Gen3DError, InputError, NotFoundError
from gen3d_tools.training.data.dataset import mirrored_angles, mirrored_cameras, open_pictures
from gen3d_tools.training.data.order import entries_at
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.recipes.sections import DataSection

SIDE = 16


def write_picture(path, level, side=SIDE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side, 3), level, np.uint8)
    pixels[:, 0] = 255
    Image.fromarray(pixels).save(path)
    Image.fromarray(np.full((side, side), 1000 * level, np.uint16)).save(path.with_name(f"{path.stem}_depth.png"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pictures"
    for index in range(6):
        write_picture(made / "abc"[index % 3] / f"{index}.png", index + 1)
    write_labels(made)
    return made


def names_of(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png") if "_depth" not in p.name)


def write_labels(folder, **changes):
    table = {"labels": [[name, "abc".find(name[0])] for name in names_of(folder)], "class_names": ["a", "b", "c"]}
    table |= changes
    (folder / "dataset.json").write_text(json.dumps(table))


def section(**changes):
    return DataSection(**{"resolution": SIDE, "mirror": False, "depth": True, **changes})


def test_pictures_come_with_class_and_depth(folder):
    pictures = open_pictures(folder, section())
    batch = pictures.batch([0, 5])
    assert pictures.names == sorted(pictures.names)
    assert batch.images.shape == (2, 3, SIDE, SIDE)
    level = int(pictures.names[5][2]) + 1
    assert float(batch.images[1, 0, 0, 5]) == pytest.approx(level / 127.5 - 1)
    assert float(batch.depth[1, 0, 3, 3]) == pytest.approx(1000 * level / 32768 - 1)
    assert batch.class_onehot.argmax(1).tolist() == [0, 2]


def test_a_zip_is_read_as_its_folder(folder, tmp_path):
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.*"):
            file.write(path, path.relative_to(folder))
    first, second = (open_pictures(path, section()).batch(range(6)) for path in (folder, archive))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.class_onehot, second.class_onehot)


def test_labels_are_found_below_the_name_of_the_set(folder):
    table = json.loads((folder / "dataset.json").read_text())
    write_labels(folder, labels=[[f"pictures/{name}", value] for name, value in table["labels"]])
    assert open_pictures(folder, section()).labels.classes.tolist() == [0, 0, 1, 1, 2, 2]


def test_the_second_half_is_mirrored(folder):
    batch = open_pictures(folder, section(mirror=True)).batch([2, 8])
    assert torch.equal(batch.images[1], batch.images[0].flip(2))
    assert torch.equal(batch.class_onehot[0], batch.class_onehot[1])
    assert not torch.equal(batch.images[1], batch.images[0])


def test_mirrored_cameras_see_mirrored_points():
    from gen3d_tools.cameras.camera import Camera

    camera = Camera.from_spherical(30.0, 10.0, 2.0, fov_y_deg=30.0)
    mirrored = Camera.from_eg3d_label(mirrored_cameras(camera.to_eg3d_label()[None].float()))[0]
    assert mirrored.position.tolist() == pytest.approx([-camera.position[0].item(), *camera.position[1:].tolist()])
    assert torch.linalg.det(mirrored.cam2world[:3, :3]).item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("at", "yaws"), [("mean", [0.5, 0.1]), ("zero", [-0.1, -0.5])])
def test_mirrored_yaws_keep_their_mean_or_change_their_sign(at, yaws):
    angles = torch.tensor([[0.1, 1.0, 0.0], [0.5, 1.2, 0.0]])
    found = mirrored_angles(angles, at)
    assert found[:, 0].tolist() == pytest.approx(yaws)
    assert torch.equal(found[:, 1:], angles[:, 1:])


@pytest.mark.parametrize(("name", "center"), [("epigraf", 0.0), ("3dgp", 0.3)])
def test_a_recipe_mirrors_poses_as_its_paper_does(folder, name, center):
    yaws = [0.0, 0.1, 0.2, 0.3, 0.4, 0.8]  # 0.3 in the mean
    write_labels(folder, camera_angles=[[one, [yaw, 1.5, 0]] for one, yaw in zip(names_of(folder), yaws, strict=True)])
    told = replace(load_recipe(name).data, features="none", resolution=SIDE)
    angles = open_pictures(folder, told).conditions().angles
    assert (angles[6:, 0] + angles[:6, 0]).tolist() == pytest.approx([2 * center] * 6)


def test_an_epoch_shows_every_picture_once():
    seen = entries_at(0, 10, 10, seed=3)
    assert sorted(seen) == list(range(10))
    assert entries_at(7, 6, 10, seed=3).tolist() == [*seen[7:], *entries_at(10, 3, 10, seed=3)]
    assert entries_at(0, 10, 10, seed=4).tolist() != seen.tolist()


def broken(folder, message, error=InputError, **changes):
    with pytest.raises(error) as caught:
        open_pictures(folder, section(**changes))
    line = str(caught.value)
    assert message in line
    assert "\n" not in line
    assert isinstance(caught.value, Gen3DError)


def test_a_picture_cut_short_is_named(folder):
    path = folder / "b" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    broken(folder, "b/1.png")


def test_a_text_named_as_a_picture_is_named(folder):
    (folder / "b" / "1.png").write_text("no picture")
    broken(folder, "b/1.png")


def test_another_size_is_named(folder):
    write_picture(folder / "c" / "2.png", 3, side=24)
    broken(folder, "c/2.png is 24 x 24, the first picture is 16 x 16")


def test_a_picture_that_is_not_square_is_named(folder):
    Image.fromarray(np.zeros((16, 20, 3), np.uint8)).save(folder / "a" / "3.png")
    broken(folder, "a/3.png is 20 x 16")


def test_a_missing_label_is_named(folder):
    write_picture(folder / "a" / "9.png", 9)
    broken(folder, "no labels entry for a/9.png")


def test_a_class_without_pictures_is_named(folder):
    names = [f"class {index}" for index in range(10)]
    labels = [[name, index] for index, name in enumerate(names_of(folder))]
    write_labels(folder, labels=labels[:6], class_names=names)
    broken(folder, "declares 10 classes, 6 have pictures; there is none of class 6")


def test_ten_classes_declared_and_nine_present(tmp_path):
    made = tmp_path / "ten"
    for index in range(9):
        write_picture(made / f"{index}.png", index)
    names = [f"kind {index}" for index in range(10)]
    write_labels(made, labels=[[f"{index}.png", index] for index in range(9)], class_names=names)
    broken(made, "declares 10 classes, 9 have pictures; there is none of kind 9")


def test_a_missing_depth_map_is_named(folder):
    (folder / "a" / "0_depth.png").unlink()
    broken(folder, "a/0_depth.png")


def test_two_pictures_with_one_depth_map_are_named(folder):
    Image.new("RGB", (SIDE, SIDE)).save(folder / "a" / "0.jpg")
    write_labels(folder, labels=None, class_names=None)
    broken(folder, "a/0.jpg and a/0.png have one depth map a/0_depth.png")
    assert open_pictures(folder, section(depth=False)).count == 7


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_an_archive_has_twice_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for level in (b"one", b"two"):
            file.writestr("a/0.png", level)
    broken(tmp_path / "x.zip", "x.zip/a/0.png is more than once in its archive")


def test_labels_that_are_no_json_are_named(folder):
    (folder / "dataset.json").write_text("{")
    broken(folder, "dataset.json", Gen3DError)


def test_an_empty_folder_and_none(tmp_path):
    (tmp_path / "empty").mkdir()
    broken(tmp_path / "empty", "holds no pictures")
    broken(tmp_path / "absent", "no folder or archive", NotFoundError)


def test_a_link_to_a_folder_is_named_and_links_to_files_are_followed(folder, tmp_path):
    for name in ("0.png", "0_depth.png"):
        (folder / "a" / name).rename(tmp_path / name)
        (folder / "a" / name).symlink_to(tmp_path / name)
    assert open_pictures(folder, section()).count == 6
    (folder / "c").rename(tmp_path / "elsewhere")
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    broken(folder, "c is a link to a folder")


def test_an_archive_that_is_none_is_named(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK no archive")
    broken(tmp_path / "x.zip", "x.zip is no ZIP archive")


def test_pictures_larger_than_the_resolution_are_shrunk(folder):
    assert open_pictures(folder, section(resolution=8)).batch([0]).images.shape[-1] == 8
    broken(folder, "smaller than the resolution 32", resolution=32)


def test_features_need_a_row_per_picture(folder, tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, np.ones((6, 5), np.float32))
    assert open_pictures(folder, section(features=str(path))).batch([1]).features.shape == (1, 5)
    np.save(path, np.ones((4, 5), np.float32))
    broken(folder, "needed are 6 rows", features=str(path))
