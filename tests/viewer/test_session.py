"""A session without a browser: what happens to it, and what it asks of its page."""

import gc
import threading
import weakref
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.rendering.renderer import render
from gen3d_tools.viewer.actions import sheet as contact_sheet
from gen3d_tools.viewer.drawing.look import BESIDE
from gen3d_tools.viewer.drawing.window import default_view
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.viewer.session import Session
from tests.generators.small_families import eg3d
from tests.viewer.recording_page import PIXELS, RecordingPage, session_of, still


@pytest.fixture
def session(tiny_generator):
    session = session_of(tiny_generator)
    session.show(size=PIXELS)
    yield session
    session.close()


def picture(session):
    pixels, sharp = still(session)
    assert sharp
    return pixels


def psnr(pixels, expected):
    error = np.mean((pixels / 255 - expected.permute(1, 2, 0).numpy()) ** 2)
    return -10 * np.log10(max(error, 1e-12))


def test_the_first_picture_is_the_models_own(session, tiny_generator):
    [field] = tiny_generator.fields(tiny_generator.latents([0]))
    square = render(field, tiny_generator.default_camera(), resolution=PIXELS).rgb
    assert psnr(picture(session), square) > 45
    assert session.page.views[-1] == default_view(tiny_generator)


def test_a_slider_changes_the_picture_to_that_of_its_value(session, tiny_generator):
    before = picture(session)
    session.choose(psi=0.3, seed=4, class_index=1)
    [field] = tiny_generator.fields(tiny_generator.latents([4], ["cube"], truncation_psi=0.3))
    assert psnr(picture(session), render(field, tiny_generator.default_camera(), resolution=PIXELS).rgb) > 45
    assert np.abs(picture(session).astype(int) - before).mean() > 1


@pytest.mark.parametrize("kind", ["depth", "normals", "opacity"])
def test_every_kind_of_picture_differs_from_the_colours(session, kind):
    colours = picture(session)
    session.show(kind=kind)
    assert np.abs(picture(session).astype(int) - colours).mean() > 1


def test_backgrounds_are_behind_the_object(session):
    session.moved(replace(session.view, position=tuple(3 * one for one in session.view.position)))
    for name, brightness in (("white", 255), ("black", 0), ("grey", 128)):
        session.show(background=name)
        assert np.abs(picture(session)[0, 0].astype(int) - brightness).max() <= 1


def test_the_exact_picture_is_nearly_the_same(session):
    quick = picture(session)
    session.show(exact=True)
    assert 0 < np.abs(picture(session).astype(int) - quick).mean() < 8


def test_the_dice_and_the_way_back(session):
    session.throw_dice()
    thrown = session.choice.seed
    session.choose_class("cube")
    assert (session.choice.seed, session.choice.class_index) == (thrown, 1)
    session.go(-1)
    session.go(-1)
    session.go(-1)
    assert session.choice.seed == 0
    session.go(1)
    assert session.choice.seed == thrown


def test_sliders_leave_no_steps_behind(session):
    for psi in (0.9, 0.8, 0.7):
        session.choose(psi=psi)
    session.go(-1)
    assert session.choice.psi == 0.7


def test_another_model_is_seen_from_its_own_camera(tiny_generator):
    session = session_of(tiny_generator, tiny_generator)
    session.moved(replace(session.view, position=(0.0, 0.0, 9.0), width=300, height=200))
    session.choose_model("model 1")
    assert session.page.views[-1].position == default_view(tiny_generator).position
    assert (session.view.width, session.view.height) == (300, 200)
    session.close()


def test_what_goes_wrong_is_a_notice_and_the_session_goes_on(session):
    session.act(lambda: session.choose(seed=-4))
    session.act(lambda: session.choose_class("banana"))
    session.act(lambda: 1 / 0)
    seed, name, slip = session.page.failures
    assert "-4" in seed
    assert "banana" in name
    assert "ZeroDivisionError" in slip
    assert session.page.refreshed  # the controls show what is
    assert picture(session).shape == (PIXELS, PIXELS, 3)


def test_sessions_do_not_see_each_other(tiny_generator):
    one, other = session_of(tiny_generator), session_of(tiny_generator)
    before = len(other.page.pictures)
    one.choose(seed=9)
    one.show(kind="depth")
    still(one)
    assert (other.choice.seed, other.look.kind, len(other.page.pictures)) == (0, "colour", before)
    one.close()
    assert other.models
    other.close()


def test_sessions_that_look_at_one_object_share_its_planes_until_nobody_does(session):
    other = Session(session.studio, RecordingPage())
    scene = other.scene_of(session.choice)
    assert session.scene_of(session.choice) is scene
    kept = weakref.ref(scene)
    assert session.scene_of(replace(session.choice, seed=5)) is not scene
    del scene
    gc.collect()
    assert kept() is None
    other.close()


def test_a_viewer_of_meshes_alone_has_no_object_to_choose():
    import trimesh

    session = session_of(meshes={"box": trimesh.creation.box()})
    assert list(session.page.overlays) == ["box"]
    with pytest.raises(InputError, match="only meshes"):
        session.choose(seed=1)
    session.close()


def test_a_square_picture_has_grey_sides_in_a_wide_window(session, monkeypatch):
    from gen3d_tools.viewer.drawing import look

    monkeypatch.setattr(look, "is_square", lambda field: True)
    session.moved(replace(session.view, width=400, height=200))
    pixels = picture(session)
    assert pixels.shape == (PIXELS, 2 * PIXELS, 3)
    assert (pixels[:, : PIXELS // 2] == BESIDE).all()
    assert (pixels[:, -PIXELS // 2 :] == BESIDE).all()


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(640, 360), (300, 700)])
def test_a_click_on_the_contact_sheet_chooses_what_is_there(session, shape, monkeypatch):
    cell = 32
    monkeypatch.setattr(contact_sheet, "_SIDE", cell)
    session.resize(*shape)
    session.show_sheet()
    session.jobs.wait()
    assert session.page.failures == []
    sheet, _ = session.page.pictures[-1]
    assert sheet.shape[1] / sheet.shape[0] == pytest.approx(shape[0] / shape[1], rel=0.02)
    assert session.painter.step() is None  # it is not drawn over
    columns = round(np.sqrt(12 * shape[0] / shape[1]))
    rows = -(-12 // columns)
    left, top = (sheet.shape[1] - columns * cell) // 2, (sheet.shape[0] - rows * cell) // 2
    session.page.clicked((left + 1.5 * cell) / sheet.shape[1], (top + 0.5 * cell) / sheet.shape[0])
    assert session.choice.seed == 1
    assert session.page.clicked is None
    assert min(picture(session).shape[:2]) == PIXELS


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        lambda session: session.choose(step=True, seed=5),
        lambda session: session.show(kind="depth"),
        lambda session: session.reset_view(),
        lambda session: session.choose_class("cube" if session.choice.class_index == 0 else "ball"),
    ],
)
@pytest.mark.parametrize("is_drawn", [True, False])
def test_whatever_else_is_asked_for_takes_the_place_of_the_contact_sheet(session, monkeypatch, asked, is_drawn):
    monkeypatch.setattr(contact_sheet, "_SIDE", 8)
    drawn, go_on = threading.Event(), threading.Event()
    if not is_drawn:  # it is asked for while the sheet is on its way

        def cell(sheet, choice):
            drawn.set()
            go_on.wait(10)
            return np.zeros((8, 8, 3), np.uint8)

        monkeypatch.setattr(contact_sheet.ContactSheet, "_cell", cell)
    session.show_sheet()
    drawn.wait(10) if not is_drawn else session.jobs.wait()
    asked(session)
    go_on.set()
    session.jobs.wait()
    assert session.page.clicked is None
    assert min(picture(session).shape[:2]) == PIXELS
    assert session.page.failures == []


def test_the_last_seeds_have_a_contact_sheet_too(session):
    session.choose(seed=2**32 - 1)
    seeds = [
        choice.seed for choice in contact_sheet.ContactSheet(session, Job("", session.page), nullcontext()).choices
    ]
    assert seeds == list(range(2**32 - 12, 2**32))


@pytest.mark.slow
def test_a_super_resolution_waits_until_nothing_moves():
    """While the camera moves the page shows what the rays see, then what the network makes of it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        session = session_of(eg3d())
    session.show(size=256)
    session.painter._moved = session.painter._clock()
    side = session.painter.pace.moving  # measured anew with every picture
    session.painter.step()
    quick, sharp = session.page.pictures[-1]
    assert not sharp
    field, camera = session.scene_of(session.choice).field, session.view.camera()
    config = session.look.config(session.generator.settings, camera)
    raw = render(field, camera, resolution=side, config=config, super_resolution=False).rgb.clamp(0, 1)
    assert psnr(_middle(quick), raw) > 35
    enlarged, sharp = still(session)
    assert sharp
    own = render(field, camera, resolution=256, config=config).rgb.clamp(0, 1)
    raw = render(field, camera, resolution=256, config=config, super_resolution=False).rgb.clamp(0, 1)
    assert psnr(_middle(enlarged), own) > psnr(_middle(enlarged), raw) + 10
    session.close()


def _middle(pixels):
    """The middle square of a window."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
