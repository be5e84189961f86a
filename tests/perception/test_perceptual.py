import logging
import sys
import types
import warnings

import pytest
import torch
from torch import nn

from gen3d_tools.errors import CheckpointError, InputError, MissingDependencyError, NotFoundError
from gen3d_tools.perception import perceptual as features
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder
from gen3d_tools.perception.perceptual import EncoderFeatures, LpipsFeatures, TorchScriptFeatures, choose_distance


@pytest.fixture(scope="module")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = EncoderConfig(
            class_names=("ball",),
            z_dim=3,
            pitch_min_deg=0.0,
            pitch_max_deg=10.0,
            image_size=16,
            widths=(4, 6),
            refine_blocks=(1, 0),
            hidden=4,
        )
        return PhotoEncoder(config).eval().requires_grad_(False)


class Means(nn.Module):
    """Answers with the mean colour in [0, 1]: the squared distance of two greys is three times their gap squared."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) / 255


class Sides(nn.Module):
    """Answers with the mean colour in [0, 1] times the side of the picture."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) / 255 * float(images.shape[2])


class Switched(nn.Module):
    """Answers as asked only with its switches set."""

    def forward(
        self, images: torch.Tensor, resize_images: bool = True, return_lpips: bool = False, half: bool = False
    ) -> torch.Tensor:
        if resize_images or half or not return_lpips:
            return images.mean(dim=3)
        return images.mean(dim=(2, 3)) / 255


class Maps(nn.Module):
    """Answers with maps instead of vectors."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


class Broken(nn.Module):
    """Answers with NaN."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) / 0 - images.mean(dim=(2, 3)) / 0


class Wordless(nn.Module):
    """Cannot look at colours."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[1] == 1
        return images.mean(dim=(2, 3))


@pytest.fixture
def scripted(tmp_path):
    def write(module):
        path = tmp_path / f"{type(module).__name__}.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.script(module).save(str(path))
        return path

    return write


def grey(value, side=8):
    return torch.full((1, 3, side, side), value)


def test_equal_pictures_are_at_distance_zero(encoder):
    image = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(EncoderFeatures(encoder)(image, image), torch.zeros(2))


def test_a_larger_change_is_a_larger_distance_in_both_directions(encoder):
    distance = EncoderFeatures(encoder)
    image, noise = torch.rand(1, 3, 16, 16), torch.randn(1, 3, 16, 16)
    little, much = distance(image, image + 0.02 * noise), distance(image, image + 0.3 * noise)
    assert 0 < little < much
    torch.testing.assert_close(distance(image + 0.3 * noise, image), much)


def test_pictures_are_compared_pair_by_pair(encoder):
    distance = EncoderFeatures(encoder)
    a, b = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(distance(a, b)[1:], distance(a[1:], b[1:]), rtol=1e-4, atol=1e-6)


def test_going_down_the_gradient_brings_a_picture_closer(encoder):
    distance = EncoderFeatures(encoder)
    target = torch.rand(1, 3, 16, 16)
    image = (target + 0.2 * torch.randn_like(target)).requires_grad_()
    before = distance(image, target)
    (gradient,) = torch.autograd.grad(before.sum(), image)
    assert distance(image - 1e-3 * gradient / gradient.norm(), target) < before


def test_a_scripted_network_sees_0_to_255_and_its_squared_distance_counts(scripted):
    distance = TorchScriptFeatures(scripted(Means()))
    torch.testing.assert_close(distance(grey(0.75), grey(0.25)), torch.tensor([3 * 0.25]))
    assert distance.name == "Means.pt"


def test_large_pictures_are_reduced_and_small_ones_left_alone(scripted):
    distance = TorchScriptFeatures(scripted(Sides()))
    torch.testing.assert_close(distance(grey(1.0, 512), grey(0.0, 512)), torch.tensor([3 * 256.0**2]))
    torch.testing.assert_close(distance(grey(1.0, 64), grey(0.0, 64)), torch.tensor([3 * 64.0**2]))


def test_switches_of_a_scripted_network_are_set_by_their_names(scripted):
    distance = TorchScriptFeatures(scripted(Switched()))
    torch.testing.assert_close(distance(grey(1.0), grey(0.0)), torch.tensor([3.0]))


@pytest.mark.parametrize(
    ("module", "word"), [(Maps(), r"\[2, 3, 64, 64\]"), (Broken(), "NaN"), (Wordless(), "cannot look")]
)
def test_a_network_that_answers_otherwise_is_refused(scripted, module, word):
    with pytest.raises(CheckpointError, match=word) as caught:
        TorchScriptFeatures(scripted(module))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_network_is_refused_briefly(tmp_path):
    path = tmp_path / "vgg16.pt"
    path.write_bytes(b"not a network")
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pt")
    for wrong in (path, tmp_path / "weights.pt"):
        with pytest.raises(CheckpointError, match="no TorchScript file") as caught:
            TorchScriptFeatures(wrong)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value).replace(str(wrong), "")) < 200


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="no feature network"):
        TorchScriptFeatures(tmp_path / "vgg16.pt")


class FakeLpips(nn.Module):
    """Stands in for lpips.LPIPS: mean squared difference of pictures in [-1, 1], shaped [b, 1, 1, 1]."""

    def __init__(self, net, verbose):
        super().__init__()
        self.net = net

    def forward(self, a, b):
        return (a - b).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def fake_lpips(monkeypatch, tmp_path):
    """The package is there; the network of the kind "vgg" too, the other is not."""
    module = types.ModuleType("lpips")
    module.LPIPS = FakeLpips
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "lpips", module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / features.LPIPS_BACKBONES["vgg"]).touch()


@pytest.fixture
def no_lpips(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    monkeypatch.setattr(features, "lpips_available", lambda net: False)


def test_lpips_sees_minus_one_to_one(fake_lpips):
    distance = LpipsFeatures("vgg")
    torch.testing.assert_close(distance(grey(1.0), grey(0.0)), torch.tensor([4.0]))
    assert distance.name == "lpips-vgg"


def test_lpips_is_refused_where_it_would_download(fake_lpips):
    with pytest.raises(MissingDependencyError, match="nothing is downloaded"):
        LpipsFeatures("alex")


def test_an_unknown_lpips_network_is_refused():
    with pytest.raises(InputError, match="squeeze"):
        LpipsFeatures("squeeze")


def test_the_encoder_is_taken_first(encoder, fake_lpips, caplog):
    with caplog.at_level(logging.INFO):
        assert choose_distance(None, encoder).name == "encoder"
    assert "perceptual distance: encoder" in caplog.text


def test_lpips_is_taken_where_there_is_no_encoder(fake_lpips):
    assert choose_distance(None, None).name == "lpips-vgg"


def test_pixels_alone_are_said_to_be_so(no_lpips, caplog):
    assert choose_distance(None, None) is None
    assert "pixels alone" in caplog.text


def test_every_name_is_understood(encoder, fake_lpips, scripted):
    assert choose_distance("none", encoder) is None
    assert choose_distance("encoder", encoder).name == "encoder"
    assert choose_distance("lpips-vgg", encoder).name == "lpips-vgg"
    assert choose_distance(scripted(Means()), encoder).name == "Means.pt"


@pytest.mark.parametrize(
    ("name", "error", "word"),
    [("encoder", InputError, "no encoder"), ("vgg", NotFoundError, "lpips-vgg"), ("a.pt", NotFoundError, "a.pt")],
)
def test_what_cannot_be_had_is_said(name, error, word):
    with pytest.raises(error, match=word):
        choose_distance(name, None)


def test_without_the_package_the_install_command_is_named(monkeypatch):
    monkeypatch.setattr(features.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install lpips"):
        choose_distance("lpips-alex", None)
