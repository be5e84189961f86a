"""Stage two moves the weights it is told to, and no other; latents may be conditioned on the photo's camera."""

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.inversion.pti import Inversion
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.tuned_layers import tuned_names
from gen3d_tools.photos.photo import Photo
from tests.generators.small_families import FAMILIES

SETTINGS = InversionSettings().changed(
    steps1=1,
    steps2=2,
    search_starts=1,
    resolution=12,
    rays1=64,
    rays2=64,
    w_samples=20,
    locality_points=64,
    coarse_samples=4,
    fine_samples=2,
    fine_rounds=1,
    stop2_psnr=0.0,
)


@pytest.fixture(scope="module")
def eg3d():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FAMILIES["eg3d"]().eval().requires_grad_(False)


def inversion(generator, **changes):
    photo = Photo(torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0)), torch.ones(1, 24, 24))
    camera = Camera.from_spherical([60.0], 10.0, 2.7, fov_y_deg=20.0)
    return Inversion(generator, [photo], camera=camera, settings=SETTINGS.changed(**changes))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_a_decoder_and_late_layers_that_are_fewer(family):
    generator = FAMILIES[family]()
    every, late, decoder = (tuned_names(generator, one) for one in ("all", "late", "decoder"))
    assert set(decoder) < set(late) < set(every)
    assert not any("mapping" in name or ".b4." in name for name in late)


@pytest.mark.slow
@pytest.mark.parametrize("tune", ["all", "late", "decoder"])
def test_only_the_layers_that_are_meant_move_and_a_state_goes_on(eg3d, tune):
    work = inversion(eg3d, tune=tune)
    work.run()
    before, after = eg3d.state_dict(), work.result().generator.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert moved <= set(tuned_names(eg3d, tune))
    if tune == "all":
        assert any("b4." in name for name in moved)
    again = inversion(eg3d, tune=tune)
    again.load_state(work.state())
    for name, value in again.result().generator.state_dict().items():
        torch.testing.assert_close(value, after[name], rtol=0, atol=0)


def test_layers_that_a_generator_lacks_are_refused():
    generator = FAMILIES["eg3d"]()
    del generator.decoder
    with pytest.raises(InputError, match="no layers that tune='late' could mean"):
        tuned_names(generator, "late")


@pytest.mark.slow
def test_latents_are_conditioned_on_the_front_or_on_the_photo_s_camera(eg3d):
    front, photo = inversion(eg3d), inversion(eg3d, conditioning="photo")
    default, own = front.find_start().w, photo.find_start().w
    torch.testing.assert_close(default, inversion(eg3d).find_start().w, rtol=0, atol=0)
    assert not torch.allclose(default, own)
    label = photo.known_cameras[:1].to_eg3d_label()
    z = torch.zeros(1, eg3d.config.z_dim)
    assert not torch.allclose(eg3d.map(z, None, label), eg3d.map(z))


def test_conditioning_on_the_photo_needs_its_camera_and_a_generator_that_reads_one(eg3d):
    photo = Photo(torch.rand(3, 24, 24), torch.ones(1, 24, 24))
    with pytest.raises(InputError, match="needs that camera"):
        Inversion(eg3d, [photo], settings=SETTINGS.changed(conditioning="photo"))
    with pytest.raises(InputError, match="not conditioned on a camera"):
        inversion(FAMILIES["geometry_aware"](), conditioning="photo")


def test_tables_of_settings_from_before_these_words_are_read():
    table = SETTINGS.to_dict()
    del table["stage_one"]["conditioning"], table["stage_two"]["tune"]
    assert InversionSettings.from_dict(table) == SETTINGS
    del table["stage_two"]["lr"]
    with pytest.raises(CheckpointError, match="lr unknown or missing"):
        InversionSettings.from_dict(table)
