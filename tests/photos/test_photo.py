"""Photos as people have them: opened whatever they are, separated, framed; or refused in one line."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError, NotFoundError
from gen3d_tools.media.photos import MAX_SIDE, OpenedPhoto, open_mask, open_photo
from gen3d_tools.photos import background
from gen3d_tools.photos.background import by_border, check_separation, cut_out
from gen3d_tools.photos.framing import FULL, Framing, cropped, fits, framed_window, measure_framing, silhouette_box
from gen3d_tools.photos.photo import Photo, load_photo
from gen3d_tools.rendering.rays import rays_through

FRAMING = Framing(extent=0.5, smallest=0.4, largest=0.6, centre=(0.5, 0.5), shift=0.05)
RED, BLUE = torch.tensor([0.8, 0.15, 0.1]), torch.tensor([0.2, 0.35, 0.75])


def disc(side=96, radius=0.25, centre=(0.5, 0.5)):
    """Coverage of a disc, [1, side, side]; lengths in picture sides."""
    axis = (torch.arange(side) + 0.5) / side
    away = torch.hypot(axis[None] - centre[0], axis[:, None] - centre[1])
    return ((radius - away) * side + 0.5).clamp(0, 1)[None]


def painted(mask, front=RED, behind=BLUE):
    front, behind = (one if one.ndim == 3 else one[:, None, None] for one in (front, behind))
    return front * mask + behind * (1 - mask)


def iou(a, b):
    return float(((a > 0.5) & (b > 0.5)).sum() / ((a > 0.5) | (b > 0.5)).sum())


def saved(path, picture, **options):
    if isinstance(picture, torch.Tensor):
        picture = Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    picture.save(path, **options)
    return path


def test_before_one_colour_the_object_is_found_and_keeps_no_rim_of_it():
    mask = disc()
    cutout = cut_out(OpenedPhoto(painted(mask), None, ()), "auto")
    assert cutout.method == "border"
    assert iou(cutout.mask, mask) > 0.97
    torch.testing.assert_close(cutout.rgb, painted(mask, behind=torch.ones(3)), atol=0.12, rtol=0)


def test_before_a_busy_table_the_object_is_found():
    random, mask = torch.Generator().manual_seed(0), disc(128)
    across, down = torch.linspace(0, 1, 128).expand(128, 128), torch.linspace(0, 1, 128)[:, None].expand(128, 128)
    table = torch.stack([0.5 + 0.3 * down, 0.5 + 0.2 * across, 0.4 + 0.1 * (30 * across).sin()])
    noisy = (painted(mask, behind=table) + 0.02 * torch.randn(3, 128, 128, generator=random)).clamp(0, 1)
    assert iou(by_border(noisy), mask) > 0.9


@pytest.mark.parametrize("shades", [2, 96])
def test_pictures_of_few_colours_are_separated_without_a_complaint(shades):  # warnings are errors
    wall = (torch.arange(96) * shades // 96 / (shades - 1)).expand(3, 96, 96)
    mask = (disc() > 0.5).float()
    assert iou(by_border(painted(mask, behind=wall)), mask) > 0.9


def test_separation_gives_the_same_mask_every_time():
    picture = (painted(disc()) + 0.1 * torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    torch.testing.assert_close(by_border(picture), by_border(picture), rtol=0, atol=0)


def test_transparency_comes_before_colours_and_a_mask_before_both():
    alpha, mask = disc(radius=0.2), disc(radius=0.3)
    photo = OpenedPhoto(painted(disc()), alpha, ())
    assert cut_out(photo, "auto").method == "alpha"
    torch.testing.assert_close(cut_out(photo, "auto").mask, alpha)
    cutout = cut_out(photo, "auto", mask)
    assert cutout.method == "mask"
    torch.testing.assert_close(cutout.mask, mask)
    with pytest.raises(InputError, match="no transparency"):
        cut_out(OpenedPhoto(painted(disc()), None, ()), "alpha")


def test_rembg_is_never_asked_without_a_network_on_disk(monkeypatch):
    monkeypatch.setattr(background, "rembg_network", lambda: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        cut_out(OpenedPhoto(painted(disc()), None, ()), "rembg")


def test_a_rembg_that_ends_the_program_when_it_is_imported_is_not_imported(tmp_path, monkeypatch):
    """So it does where its backend, onnxruntime, is not installed."""
    (tmp_path / "rembg.py").write_text("raise SystemExit(1)")
    (tmp_path / "u2net.onnx").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert background.rembg_network() is None
    (tmp_path / "onnxruntime.py").touch()
    monkeypatch.delitem(sys.modules, "onnxruntime")
    assert background.rembg_network() == "u2net"
    with pytest.raises(MissingDependencyError, match="pip install"):
        cut_out(OpenedPhoto(painted(disc()), None, ()), "rembg")


def test_an_unknown_way_to_separate_is_refused():
    assert check_separation(" Border ") == "border"
    with pytest.raises(InputError, match="choose from auto, alpha"):
        check_separation("magic")


def test_framing_brings_an_object_to_the_size_and_place_of_the_generators_own():
    small = disc(200, radius=0.1, centre=(0.3, 0.6))
    photo = torch.cat([painted(small), torch.ones(3, 200, 60) * BLUE[:, None, None]], dim=2)
    cutout = cut_out(OpenedPhoto(photo, None, ()), "auto")
    rgb, mask = cropped(cutout, framed_window(cutout, FRAMING), 64)
    left, top, right, bottom = silhouette_box(mask)
    assert (left, top, right, bottom) == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.03)
    torch.testing.assert_close(rgb[:, 32, 32], RED, atol=0.02, rtol=0)
    assert (rgb[:, 2, 2] > 0.98).all()


def test_beyond_the_edge_of_a_photo_there_is_white_and_nothing():
    cutout = cut_out(OpenedPhoto(painted(disc(centre=(0.1, 0.5))), None, ()), "none")
    aside = background.Cutout(cutout.rgb, disc(centre=(0.1, 0.5)), "mask")
    rgb, mask = cropped(aside, framed_window(aside, FRAMING), 64)
    assert (rgb[:, :, 0] == 1).all()
    assert (mask[:, :, 0] == 0).all()


def test_a_camera_of_the_square_is_one_of_the_whole_picture(tmp_path, tiny_generator):
    """What it sees in the square lies where the square lies in the picture."""
    picture = torch.ones(3, 80, 160)
    picture[:, 30:40, 110:120] = RED[:, None, None]
    photo = load_photo(saved(tmp_path / "a.png", picture), tiny_generator, framing=FRAMING)
    camera = Camera.from_spherical(20, 10, 2.7, fov_y_deg=20.0)
    left, top, right, bottom = photo.window
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((115 / 160, 35 / 80), abs=0.01)
    assert (right - left) * 160 == (bottom - top) * 80 == 20
    for inside in ((0.5, 0.5), (0.1, 0.9)):
        square, whole = (
            rays_through(one.cam2world, one.intrinsics, torch.tensor([place]))
            for one, place in (
                (camera, inside),
                (photo.uncropped(camera), (left + inside[0] * (right - left), top + inside[1] * (bottom - top))),
            )
        )
        torch.testing.assert_close(square, whole)


def test_a_camera_of_the_whole_picture_is_one_of_the_square():
    camera = Camera.from_spherical(20, 10, 2.7, fov_y_deg=20.0)
    photo = Photo(torch.ones(3, 8, 8), torch.ones(1, 8, 8), window=(0.6, -0.1, 0.85, 0.4))
    for back in (photo.uncropped(photo.cropped(camera)), photo.cropped(photo.uncropped(camera))):
        torch.testing.assert_close(back.to_eg3d_label(), camera.to_eg3d_label(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(photo.known_camera(camera).to_eg3d_label(), photo.cropped(camera).to_eg3d_label())


@pytest.mark.parametrize("size", [(40, 80), (80, 40)])
def test_a_square_lens_of_a_picture_that_is_not_square_is_that_of_its_middle(tmp_path, tiny_generator, size):
    path = saved(tmp_path / "a.png", torch.ones(3, *size) * RED[:, None, None])
    photo = load_photo(path, tiny_generator, framing=FRAMING, background="none")
    square = Camera.from_spherical(20, 10, 2.7, fov_y_deg=20.0)
    whole = photo.uncropped(square)
    for known in (square, whole):
        torch.testing.assert_close(photo.known_camera(known).to_eg3d_label(), square.to_eg3d_label())


def test_a_square_photo_framed_as_the_generator_does_is_left_alone(tmp_path, tiny_generator):
    path = saved(tmp_path / "a.png", painted(disc(256, radius=0.25), behind=torch.ones(3)))
    photo = load_photo(path, tiny_generator, framing=FRAMING)
    assert photo.size == 256
    torch.testing.assert_close(photo.rgb, painted(disc(256, radius=0.25), behind=torch.ones(3)), atol=0.03, rtol=0)
    assert not any("cropped" in line for line in photo.warnings)
    assert load_photo(photo, tiny_generator) is photo
    assert photo.window == (0.0, 0.0, 1.0, 1.0)


def test_a_photo_smaller_than_the_generators_pictures_keeps_its_pixels(tmp_path, tiny_generator):
    picture = painted(disc(100, radius=0.25), behind=torch.ones(3))
    photo = load_photo(saved(tmp_path / "a.png", picture), tiny_generator, framing=FRAMING)
    assert photo.size == 100
    torch.testing.assert_close(photo.rgb, picture, atol=1 / 255, rtol=0)


def test_a_tiny_photo_is_enlarged_until_structure_can_be_compared(tmp_path, tiny_generator):
    picture = painted(disc(20, radius=0.25), behind=torch.ones(3))
    assert load_photo(saved(tmp_path / "a.png", picture), tiny_generator, framing=FRAMING).size == 64


def test_another_size_or_place_is_brought_to_the_frame_and_said(tmp_path, tiny_generator):
    path = saved(tmp_path / "a.jpg", painted(disc(256, radius=0.1, centre=(0.3, 0.3))))
    photo = load_photo(path, tiny_generator, framing=FRAMING)
    assert silhouette_box(photo.mask) == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.03)
    assert any("cropped and scaled" in line for line in photo.warnings)


def test_a_generator_that_fills_its_pictures_gets_the_middle_square_as_it_is(tmp_path, tiny_generator):
    picture = torch.cat([painted(disc(64)), torch.zeros(3, 64, 32)], dim=2)
    photo = load_photo(saved(tmp_path / "a.png", picture), tiny_generator, framing=FULL)
    assert (photo.mask == 1).all()
    assert any("its middle is used" in line for line in photo.warnings)


def test_a_framing_is_measured_from_the_generators_own_objects(tiny_generator):
    framing = measure_framing(tiny_generator, 0)
    assert 0 < framing.smallest <= framing.extent <= framing.largest <= 1
    cutout = background.Cutout(torch.ones(3, 64, 64), disc(64, radius=framing.extent / 2), "mask")
    assert framing.is_full or fits(cutout, framing)


def test_a_photo_is_square_and_its_mask_of_its_size():
    with pytest.raises(InputError, match="square"):
        Photo(torch.ones(3, 4, 5), torch.ones(1, 4, 5))
    with pytest.raises(InputError, match="mask of its own size"):
        Photo(torch.ones(3, 4, 4), torch.ones(1, 5, 5))


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "F"])
def test_every_kind_of_pixel_is_read(tmp_path, mode):
    grey = Image.fromarray(np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (24, 1)))
    if mode in ("I;16", "F"):
        values = np.asarray(grey, np.float32) * (257 if mode != "F" else 1 / 255)
        picture = Image.fromarray(values.astype({"I;16": np.uint16, "F": np.float32}[mode]))
    else:
        picture = grey.convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    picture.save(path)
    opened = open_photo(path)
    assert opened.rgb.shape == (3, 24, 32)
    assert opened.rgb[:, 0, 0].max() < 0.1
    assert opened.rgb[:, 0, -1].min() > 0.9
    assert bool(opened.notes) == (mode in ("I;16", "F", "CMYK"))


def test_a_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (40, 24), "red"), exif=exif)
    assert open_photo(path).rgb.shape == (3, 40, 24)


def test_a_photo_of_a_phone_is_turned_upright_once(tmp_path):
    """HEIC turns pictures by a property of its own, and its EXIF says so again."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = torch.cat([RED[:, None, None].expand(3, 96, 80), BLUE[:, None, None].expand(3, 96, 80)], dim=2)
    for name in ("a.heic", "a.jpg"):
        opened = open_photo(saved(tmp_path / name, picture, exif=exif.tobytes()))
        assert opened.rgb.shape == (3, 160, 96)
        for row, colour in ((8, RED), (-8, BLUE)):
            torch.testing.assert_close(opened.rgb[:, row, 8], colour, atol=0.06, rtol=0)
    whole = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "short.heic").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="picture"):
        open_photo(tmp_path / "short.heic")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_profile_is_applied_to_pictures_with_transparency_too(tmp_path, mode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")  # its red is blue
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 102)).convert(mode)
    opened = open_photo(saved(tmp_path / "a.png", picture, icc_profile=swapped))
    assert opened.rgb[:, 0, 0].tolist() == pytest.approx([0, 0, 1], abs=0.02)
    if mode == "RGBA":
        assert opened.alpha[0, 0, 0] == pytest.approx(0.4)


def test_a_drawing_that_is_a_program_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("it ran"))
    path = saved(tmp_path / "a.eps", Image.new("RGB", (16, 16), "red"))
    path.rename(tmp_path / "a.jpg")  # the name does not matter
    with pytest.raises(InputError, match="a program that draws"):
        open_photo(tmp_path / "a.jpg")


def test_a_huge_photo_is_shrunk_and_an_animation_gives_its_first_frame(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (2 * MAX_SIDE, MAX_SIDE // 2), "red"))
    opened = open_photo(path)
    assert opened.rgb.shape == (3, MAX_SIDE // 4, MAX_SIDE)
    assert "shrunk" in opened.notes[0]
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    opened = open_photo(saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert "2 frames; the first" in opened.notes[0]
    assert opened.rgb[0].min() > 0.9


def broken_files(folder):
    """Files that are no photo, and what is said about them."""
    whole = saved(folder / "whole.jpg", Image.effect_noise((200, 200), 90).convert("RGB"), quality=95).read_bytes()
    bomb = bytearray(saved(folder / "tiny.bmp", Image.new("RGB", (16, 16))).read_bytes())
    bomb[18:26] = (40_000).to_bytes(4, "little") * 2
    contents = {
        "empty.png": (b"", "is empty"),
        "words.jpg": (b"these are words, not a photo", "not a picture"),
        "cut.jpg": (whole[: len(whole) // 3], "broken picture"),
        "bomb.bmp": (bytes(bomb), "than a camera makes|than cameras make"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "pip install pillow-heif|broken|not a picture"),
    }
    for name, (content, words) in contents.items():
        (folder / name).write_bytes(content)
        yield folder / name, words
    yield saved(folder / "dot.png", Image.new("RGB", (4, 4))), "4 x 4 pixels"
    yield folder / "nowhere.png", "no photo at"
    yield folder, "is a folder"


def test_what_is_no_photo_is_refused_in_one_line(tmp_path):
    for path, words in broken_files(tmp_path):
        with pytest.raises(Gen3DError, match=words) as caught:
            open_photo(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(NotFoundError):
        open_photo(tmp_path / "nowhere.png")


def test_a_photo_with_nothing_in_it_is_refused(tmp_path, tiny_generator):
    path = saved(tmp_path / "a.png", Image.new("RGB", (64, 64), "white"))
    with pytest.raises(InputError, match="nothing but background"):
        load_photo(path, tiny_generator, framing=FRAMING)
    with pytest.raises(InputError, match="check the mask"):
        load_photo(path, tiny_generator, mask=saved(tmp_path / "m.png", torch.zeros(3, 64, 64)), framing=FRAMING)


def test_a_mask_of_another_size_is_scaled_and_one_of_another_shape_refused(tmp_path):
    path = saved(tmp_path / "m.png", disc(32).expand(3, 32, 32))
    mask, notes = open_mask(path, (96, 96))
    assert iou(mask, disc(96)) > 0.9
    assert "scaled from 32 x 32" in notes[0]
    with pytest.raises(InputError, match="they need one shape"):
        open_mask(path, (96, 60))
