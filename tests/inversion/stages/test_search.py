"""Where stage one starts: what the encoder says, in order, and within what is known."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages import locality_regulariser as locality
from gen3d_tools.inversion.stages import search as searching
from gen3d_tools.inversion.stages.latent_prior import latent_prior, map_z
from gen3d_tools.inversion.stages.objective import target_of
from gen3d_tools.inversion.stages.search import Search, _opposite, picture_side
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder
from gen3d_tools.photos.photo import Photo


@pytest.fixture(scope="module")
def encoder():
    config = EncoderConfig(
        class_names=("ball", "cube"),
        z_dim=8,
        pitch_min_deg=-10.0,
        pitch_max_deg=60.0,
        image_size=16,
        widths=(4, 8),
        refine_blocks=(1, 1),
        yaw_bins=12,
        neck_channels=4,
        hidden=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PhotoEncoder(config).eval().requires_grad_(False)


@pytest.fixture
def search(tiny_generator, encoder):
    return Search(tiny_generator, InversionSettings().changed(w_samples=20), encoder, lambda *_: None)


PHOTO = Photo(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.ones(1, 16, 16))


def test_candidates_come_likeliest_first_for_every_class_in_question(search):
    found = search.candidates(PHOTO, [0, 1], None)
    chances = [one.probability for one in found]
    assert chances == sorted(chances, reverse=True)
    assert {one.class_index for one in found} == {0, 1}
    assert {one.class_index for one in search.candidates(PHOTO, [1], None)} == {1}


def test_a_known_camera_is_the_only_one_tried(search):
    camera = Camera.from_spherical(70.0, 5.0, 2.7, fov_y_deg=20.0)
    for one in search.candidates(PHOTO, [0, 1], camera):
        assert torch.equal(one.camera.cam2world, camera.cam2world)


def _told(search, encoder, framing):
    return replace(encoder(PHOTO.rgb[None]), framing=torch.tensor([framing]), pitch_deg=torch.tensor([25.0]))


def test_framing_within_the_encoders_doubt_is_the_generators_own(search, encoder):
    camera = search._camera(_told(search, encoder, (0.05, 0.02, -0.02, 3.0)), 40.0)
    wanted = Camera.from_spherical(40.0, 25.0, 2.7, fov_y_deg=20.0)
    torch.testing.assert_close(camera.cam2world, wanted.cam2world, atol=1e-5, rtol=0)
    torch.testing.assert_close(camera.intrinsics, wanted.intrinsics)


def test_other_framing_moves_the_object_where_the_encoder_saw_it(search, encoder):
    camera = search._camera(_told(search, encoder, (0.3, 0.1, -0.05, 0.0)), 40.0)
    seen = torch.linalg.inv(camera.cam2world) @ torch.tensor([0.0, 0.0, 0.0, 1.0])
    place = camera.intrinsics @ (seen[:3] / seen[2])
    assert place[:2].tolist() == pytest.approx([0.6, 0.45], abs=0.01)
    assert float(camera.fov_y_deg) == pytest.approx(20 / 1.35, rel=0.02)


def test_a_rolled_object_stands_upright_to_its_camera(search, encoder):
    camera = search._camera(_told(search, encoder, (0.0, 0.0, 0.0, 20.0)), 0.0)
    above = torch.linalg.inv(camera.cam2world) @ torch.tensor([0.0, 0.3, 0.0, 1.0])
    assert above[0] > 0.05  # turned clockwise, its top leans to the right
    assert above[1] < 0


def test_the_picture_covers_what_the_lens_says():
    camera = Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=20.0)
    assert picture_side(camera, 1.0) == pytest.approx(2 * 2.7 * 0.17632698, rel=1e-4)
    assert picture_side(Camera.look_at((0, 0, 1), (0, 0, 5), fov_y_deg=20.0), 1.5) == 1.5


@pytest.mark.slow
def test_the_start_is_the_same_whatever_the_seed(tiny_generator, encoder):
    with torch.no_grad():
        field = tiny_generator.fields(tiny_generator.latents([0], [0]))[0]
    found = []
    for seed in (0, 1):
        settings = InversionSettings().changed(
            w_samples=20,
            seed=seed,
            search_starts=2,
            search_keep=1,
            search_resolution=8,
            search_steps=1,
            search_keep_steps=1,
        )
        search = Search(tiny_generator, settings, encoder, lambda *_: None)
        found.append(search.find(PHOTO, target_of(PHOTO, field, settings), [0, 1], None))
    assert torch.equal(found[0].w, found[1].w)
    assert torch.equal(found[0].camera.cam2world, found[1].camera.cam2world)


@pytest.mark.parametrize(
    ("directions", "added"),
    [
        ([(40.0, 0.95)], []),
        ([(40.0, 0.6)], [-140.0]),
        ([(-170.0, 0.6), (60.0, 0.2)], [10.0]),
        ([(40.0, 0.5), (-150.0, 0.4)], []),  # tried already
    ],
)
def test_a_doubtful_direction_is_tried_from_behind_too(directions, added):
    assert [yaw for yaw, _ in _opposite(directions)] == pytest.approx(added)


def test_of_two_explanations_alike_the_likelier_class_is_taken(search):
    likely, unlikely = (replace(one, loss=0.2) for one in search.candidates(PHOTO, [0, 1], None)[:2])
    likely, unlikely = replace(likely, probability=0.9), replace(unlikely, probability=0.03, loss=0.19)
    assert min(likely, unlikely, key=search._doubt) is likely
    assert min(likely, replace(unlikely, loss=0.1), key=search._doubt).loss == 0.1  # much better is better


def test_explanations_that_are_far_behind_are_given_up(search):
    one = replace(search.candidates(PHOTO, [0, 1], None)[0], probability=1.0)
    losses = (0.30, 0.21, 0.20, 0.24)
    assert [kept.loss for kept in search._in_question([replace(one, loss=loss) for loss in losses])] == [0.20, 0.21]
    alike = [replace(one, loss=0.2, probability=chance) for chance in (0.1, 1.0)]  # as good, and a tenth as likely
    assert [kept.probability for kept in search._in_question(alike)] == [1.0]
    several = [replace(one, loss=0.2 + 0.001 * index) for index in range(5)]
    assert len(search._in_question(several)) == search.settings.search.keep == 3


@pytest.mark.slow
def test_beside_a_clear_winner_nothing_is_refined_further(tiny_generator, encoder, monkeypatch):
    looked = []
    refine = Search._refine

    def counted(self, one, target, move, steps, all_steps):
        looked.append(steps)
        return replace(refine(self, one, target, move, 1, all_steps), loss=0.2 * len(looked))

    monkeypatch.setattr(Search, "_refine", counted)
    with torch.no_grad():
        field = tiny_generator.fields(tiny_generator.latents([0], [0]))[0]
    settings = InversionSettings().changed(w_samples=20, search_starts=2, search_resolution=8)
    search = Search(tiny_generator, settings, encoder, lambda *_: None)
    found = search.find(PHOTO, target_of(PHOTO, field, settings), [0, 1], None)
    assert looked == [settings.search.steps] * 2 + [settings.search.keep_steps]
    assert found.loss == pytest.approx(0.6)


def test_a_class_starts_from_the_latent_around_the_encoders_that_explains_the_photo_best(search, tiny_generator):
    starts = search.candidates(PHOTO, [0, 1], None)
    target = target_of(PHOTO, tiny_generator.fields(tiny_generator.same_ws(starts[0].w))[0], search.settings)
    better = search._with_better_latents(starts, target)
    for label in (0, 1):
        first = next(one for one in starts if one.class_index == label)
        assert first.nearby.shape == (8, *first.w.shape)
        tried = [first, *(replace(first, w=w) for w in first.nearby)]
        best = min(search._looked_at(tried, target), key=lambda one: one.loss)
        mine = [one for one in better if one.class_index == label]
        assert all(torch.equal(one.w, best.w) and one.nearby is None for one in mine)
    assert [one.camera for one in better] == [one.camera for one in starts]
    assert any(not torch.equal(one.w, other.w) for one, other in zip(better, starts, strict=True))


def test_without_latents_around_it_the_encoders_own_is_the_start(search, tiny_generator):
    search.settings = search.settings.changed(search_nearby=0)
    starts = search.candidates(PHOTO, [0, 1], None)
    assert all(one.nearby is None for one in starts)
    target = target_of(PHOTO, tiny_generator.fields(tiny_generator.same_ws(starts[0].w))[0], search.settings)
    better = search._with_better_latents(starts, target)
    assert all(one.w is other.w for one, other in zip(better, starts, strict=True))


def test_what_is_conditioned_on_the_photo_is_so_in_the_search_and_nearby(tiny_generator, search, monkeypatch):
    seen, cond = [], tiny_generator.default_camera().to_eg3d_label().reshape(1, 25)

    def mapped(generator, z, class_index, truncation_psi=1.0, camera_cond=None):
        seen.append(camera_cond)
        return map_z(generator, z, class_index, truncation_psi)

    monkeypatch.setattr(searching, "map_z", mapped)
    monkeypatch.setattr(locality, "map_z", mapped)
    search.camera_cond = cond
    search.prior = lambda label: latent_prior(tiny_generator, label, 20)
    search.candidates(PHOTO, [1], tiny_generator.default_camera())
    settings, ws = search.settings, tiny_generator.latents([8], [1])
    locality.nearby_latent(tiny_generator, ws, 1, settings, torch.Generator().manual_seed(0), cond)
    assert len(seen) == 2
    assert all(one is cond for one in seen)
