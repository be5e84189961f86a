"""Photos of any shape come into the generator's frame, at the price of their own pixels and no more."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

from gen3d_tools.media.photos import MAX_SIDE
from gen3d_tools.photos.background import Cutout
from gen3d_tools.photos.framing import Framing, cropped, framed_window, square_window
from gen3d_tools.photos.photo import load_photo

FRAMING = Framing(extent=0.4, smallest=0.3, largest=0.5, centre=(0.5, 0.5), shift=0.05)


class Largest(TorchFunctionMode):
    """Notes how many numbers the largest tensor has that any function gives."""

    numbers = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        if isinstance(given, torch.Tensor):
            self.numbers = max(self.numbers, given.numel())
        return given


@pytest.mark.parametrize("size", [(12000, 300), (300, 12000)])
def test_a_long_photo_is_shrunk_before_it_is_filled_up_to_a_square(tmp_path, tiny_generator, size):
    picture = np.zeros((size[1], size[0], 4), np.uint8)
    picture[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4] = (200, 40, 30, 255)
    Image.fromarray(picture).save(tmp_path / "long.png")
    with Largest() as largest:
        photo = load_photo(tmp_path / "long.png", tiny_generator, framing=FRAMING)
    assert largest.numbers < MAX_SIDE**2  # the square around it has 13 million
    inside = (photo.mask[0] > 0.5).float()
    extents = [float(inside.amax(dim=axis).mean()) for axis in (0, 1)]
    assert max(extents) == pytest.approx(FRAMING.extent, abs=0.05)
    assert (photo.rgb[:, inside < 0.5].mean(dim=-1) > 0.95).all()


def test_what_is_filled_up_and_what_is_not_give_one_picture():
    random = torch.Generator().manual_seed(0)
    whole = torch.ones(3, 60, 60)
    whole[:, 20:40, 10:50] = torch.rand(3, 20, 40, generator=random)
    mask = torch.zeros(1, 60, 60)
    mask[:, 20:40, 10:50] = 1
    cut = Cutout(whole[:, 20:40, 10:50], mask[:, 20:40, 10:50], "mask")
    both = (cropped(one, framed_window(one, FRAMING), 32) for one in (Cutout(whole, mask, "mask"), cut))
    for first, second in zip(*both, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_the_middle_square_is_left_as_it_is():
    rgb = torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(0))
    wide = Cutout(rgb, torch.ones(1, 16, 24), "none")
    kept, _ = cropped(wide, square_window(wide), 16)
    torch.testing.assert_close(kept, rgb[:, :, 4:20], atol=0, rtol=0)
