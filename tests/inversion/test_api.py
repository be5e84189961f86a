"""`invert` finds what it needs on the way, and hands it on."""

import pytest
import torch
from PIL import Image

from gen3d_tools.errors import InputError
from gen3d_tools.inversion import api
from gen3d_tools.photos.framing import FULL
from gen3d_tools.photos.photo import Photo


class ReachedError(Exception):
    """The work would begin now."""


@pytest.mark.parametrize("known", [1, None])
def test_a_known_class_is_that_of_the_framing_too(tiny_generator, tmp_path, monkeypatch, known):
    seen = {}

    def measure(_, label):
        seen["framed"] = label
        return FULL

    def work(*_, class_name, **__):
        seen["inverted"] = class_name
        raise ReachedError

    monkeypatch.setattr(api, "measure_framing", measure)
    monkeypatch.setattr(api.pti, "invert", work)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "photo.png")
    name = None if known is None else tiny_generator.class_names[known]
    with pytest.raises(ReachedError):
        api.invert(tiny_generator, tmp_path / "photo.png", class_name=name, background="none")
    assert seen == {"framed": known, "inverted": known}


def test_an_unknown_class_is_refused_before_the_photo_is_read(tiny_generator, tmp_path):
    with pytest.raises(InputError, match="teapot"):
        api.invert(tiny_generator, tmp_path / "none.png", class_name="teapot")


def test_a_known_camera_follows_the_crop(tiny_generator, monkeypatch):
    seen = {}

    def work(*_, camera, **__):
        seen["camera"] = camera
        raise ReachedError

    monkeypatch.setattr(api.pti, "invert", work)
    photo = Photo(torch.ones(3, 8, 8), torch.ones(1, 8, 8), window=(0.5, 0.0, 1.0, 0.5))
    camera = tiny_generator.default_camera()
    with pytest.raises(ReachedError):
        api.invert(tiny_generator, photo, camera=camera)
    [found] = seen["camera"]
    torch.testing.assert_close(photo.uncropped(found).to_eg3d_label(), camera.to_eg3d_label())
