"""`invert` finds what it needs on the way, and hands it on."""

import pytest
from PIL import Image

from gen3d_tools.errors import InputError
from gen3d_tools.inversion import api
from gen3d_tools.photos.framing import FULL


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
