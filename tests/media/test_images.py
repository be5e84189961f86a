import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.media.images import depth_picture, normal_picture, read_image, to_uint8, write_image

LUMINANCE = torch.tensor([0.30, 0.59, 0.11])[:, None, None]  # the weights cubehelix is built on


def all_bytes() -> torch.Tensor:
    ramp = torch.arange(256.0).reshape(16, 16) / 255
    return torch.stack([ramp, ramp.T, ramp.flip(0, 1)])


def test_every_byte_survives_png(tmp_path):
    write_image(tmp_path / "a.png", all_bytes())
    assert torch.equal(read_image(tmp_path / "a.png"), all_bytes())


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_lossy_formats_keep_smooth_colours(tmp_path, suffix):
    image = torch.stack([torch.full((32, 32), value) for value in (0.8, 0.3, 0.1)])
    write_image(tmp_path / f"a{suffix}", image)
    assert torch.allclose(read_image(tmp_path / f"a{suffix}"), image, atol=0.02)


def test_rounding_is_to_the_nearest_byte_and_clips():
    pixels = to_uint8(torch.tensor([-0.5, 0.0019, 0.0021, 0.5, 2.0]).expand(3, 1, 5))
    assert pixels.shape == (1, 5, 3)
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_rows_run_down_and_channels_are_rgb(tmp_path):
    image = torch.zeros(3, 2, 3)
    image[0, 0, 2] = 1  # red, top right
    write_image(tmp_path / "a.png", image)
    assert Image.open(tmp_path / "a.png").getpixel((2, 0)) == (255, 0, 0)


def test_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
        write_image(tmp_path / "a.bmp2", all_bytes())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_image_stays_unless_told_otherwise(tmp_path):
    write_image(tmp_path / "a.png", all_bytes())
    with pytest.raises(InputError, match="exists already"):
        write_image(tmp_path / "a.png", torch.zeros(3, 2, 2))
    assert read_image(tmp_path / "a.png").shape == (3, 16, 16)
    write_image(tmp_path / "a.png", torch.zeros(3, 2, 2), overwrite=True)
    assert read_image(tmp_path / "a.png").shape == (3, 2, 2)


def test_transparency_is_laid_on_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 1).all()


def test_photos_are_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 4, 2)


def test_missing_broken_and_cut_images_are_told_apart_from_pictures(tmp_path):
    with pytest.raises(NotFoundError):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(InputError):
        read_image(tmp_path / "text.png")
    write_image(tmp_path / "whole.png", torch.rand(3, 64, 64))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    with pytest.raises(InputError):
        read_image(tmp_path / "cut.png")


def test_nearer_is_brighter_everywhere():
    depth = torch.linspace(1, 3, 200).reshape(1, 1, 200)
    picture = depth_picture(depth, torch.ones_like(depth))
    brightness = (picture * LUMINANCE).sum(0)[0]
    assert (brightness.diff() < 0).all()
    assert 0 <= picture.min() < picture.max() <= 1


def test_empty_pixels_are_white_whatever_their_depth_or_normal():
    undefined = torch.full((1, 2, 2), torch.nan)
    assert (depth_picture(undefined, torch.zeros(1, 2, 2)) == 1).all()
    assert (normal_picture(undefined.expand(3, 2, 2), torch.zeros(1, 2, 2)) == 1).all()


def test_given_near_and_far_fix_the_colours_across_frames():
    cover = torch.ones(1, 1, 2)
    first = depth_picture(torch.tensor([[[1.0, 2.0]]]), cover, near=1, far=4)
    second = depth_picture(torch.tensor([[[2.0, 4.0]]]), cover, near=1, far=4)
    assert torch.equal(first[..., 1], second[..., 0])


def test_one_depth_alone_is_not_divided_by_zero():
    assert depth_picture(torch.ones(1, 2, 2), torch.ones(1, 2, 2)).isfinite().all()


def test_normals_become_the_usual_colours():
    towards_the_viewer = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    assert np.allclose(normal_picture(towards_the_viewer, torch.ones(1, 1, 1)).flatten(), [0.5, 0.5, 1])
