"""Models with a super-resolution on the command line: their own size by default, raw pictures on request."""

from pathlib import Path

import imageio.v3 as imageio
import pytest
import torch

from gen3d_tools.cameras.distributions.named import FixedCamera, GaussianLookAt
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.families.eg3d import EG3DConfig, EG3DGenerator
from gen3d_tools.generators.settings import ModelSettings
from tests.parity.cases import discover
from tests.support.official_pickles import official_bytes


@pytest.fixture(scope="module")
def upscaled(tmp_path_factory):
    """A small EG3D whose rays make 8 x 8 pixels and whose pictures have 128."""
    config = EG3DConfig(
        z_dim=4,
        w_dim=4,
        embed_dim=4,
        mapping_width=4,
        plane_resolution=8,
        plane_channels=4,
        channel_base=32,
        channel_max=4,
        decoder_width=4,
        feature_channels=4,
        super_resolution="2x",
        render_resolution=8,
    )
    settings = ModelSettings(
        render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=6, fine_samples=4),
        camera_distribution=GaussianLookAt(radius=2.7, fov_y_deg=13.4),
        default_view=FixedCamera(radius=2.7, fov_y_deg=13.4),
        iso_level=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = EG3DGenerator(config, settings)
    folder = tmp_path_factory.mktemp("models") / "upscaled"
    generator.save(folder)
    return folder


def test_pictures_have_the_models_own_size(gen3d, upscaled):
    result = gen3d("sample", upscaled, "--show", "rgb,depth", "-o", "out")
    assert result.code == 0
    assert imageio.imread("out/seed-0000-rgb.png").shape == (128, 128, 3)
    assert imageio.imread("out/seed-0000-depth.png").shape[:2] == (128, 128)


def test_raw_pictures_come_from_rays_through_every_pixel(gen3d, upscaled):
    assert gen3d("sample", upscaled, "--size", 16, "-o", "with.png").code == 0
    assert gen3d("sample", upscaled, "--size", 16, "--raw", "-o", "without.png").code == 0
    found = [imageio.imread(f"{name}.png").astype(int) for name in ("with", "without")]
    assert found[0].shape == found[1].shape == (16, 16, 3)
    assert abs(found[0] - found[1]).max() > 2


def test_videos_have_the_models_own_size_and_can_be_estimated(gen3d, upscaled):
    length = ("--seconds", 0.2, "--fps", 10)
    planned = gen3d("video", upscaled, *length, "--dry-run", "--show", "rgb,depth", "-o", "film")
    assert planned.code == 0
    assert "256 x 128" in planned.out + planned.err
    assert gen3d("video", upscaled, *length, "--format", "frames", "-o", "film").code == 0
    first, second = sorted(Path("film").rglob("*.png"))
    assert imageio.imread(first).shape == imageio.imread(second).shape == (128, 128, 3)


@pytest.mark.slow
def test_a_published_pickle_is_a_model(gen3d):
    case = next(case for case in discover() if "superresolution_module" in case.path.read_text())
    path = Path("published.pkl")
    path.write_bytes(official_bytes("eg3d", case.info["init_kwargs"], case.params))
    result = gen3d("sample", path, "--exact", "--psi", 0.7, "-o", "picture.png")
    assert result.code == 0, result.err
    side = case.info["init_kwargs"]["img_resolution"]
    assert imageio.imread("picture.png").shape == (side, side, 3)
