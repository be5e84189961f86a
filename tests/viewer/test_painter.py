"""Quick pictures while something moves, sharp ones when it stands still, and none that nobody wants."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from gen3d_tools.fields.field import FunctionField
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.rendering.renderer import render
from gen3d_tools.viewer.choice import Choice
from gen3d_tools.viewer.drawing import pace
from gen3d_tools.viewer.drawing.look import Look
from gen3d_tools.viewer.drawing.pace import LARGEST, SMALLEST, Pace, Turns
from gen3d_tools.viewer.drawing.painter import LONGEST_WAIT, STILL, Painter, Scene, Wanted
from gen3d_tools.viewer.drawing.window import View

VIEW = View(position=(0.0, 0.0, 4.0), look_at=(0.0, 0.0, 0.0), fov_deg=30.0, width=512, height=256)
WANTED = Wanted(choice=Choice(model="ball"), look=Look(size=256), view=VIEW)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def settings(tiny_generator):
    return tiny_generator.settings


class Studio:
    """A painter, its clock, and what came of it."""

    def __init__(self, settings: ModelSettings):
        self.drawn, self.errors, self.clock, self.asked, self.made = [], [], Clock(), [], 0
        self.settings, self.during = settings, lambda: None
        self.painter = Painter(self.scene, self.drawn.append, self.errors.append, Turns(), self.clock)

    def scene(self, choice):
        self.made += 1
        if choice.seed == 13:
            raise RuntimeError("no such luck")

        def density(points):
            self.asked.append(len(points))
            self.during()
            return 500 * (0.5 - points.norm(dim=-1))

        field = FunctionField(raw_density_fn=density, values_fn=lambda points: (points + 1) / 2)
        return Scene(field, self.settings)

    def move(self, x):
        self.painter.want(replace(WANTED, view=replace(VIEW, position=(x, 0.0, 4.0))))


@pytest.fixture
def studio(settings):
    return Studio(settings)


@pytest.mark.slow
def test_a_moving_camera_gets_quick_pictures_and_a_still_one_a_sharp_one(studio):
    for x in (0.0, 0.1, 0.2):
        studio.move(x)
        studio.painter.step()
        studio.clock.now += 0.05
    assert [one.sharp for one in studio.drawn] == [False] * 3
    assert studio.painter.step() == pytest.approx(STILL - 0.05)
    studio.clock.now += STILL
    studio.painter.step()
    assert studio.drawn[-1].sharp
    assert studio.drawn[-1].pixels.shape == (256, 512, 3)
    assert studio.painter.step() is None


@pytest.mark.slow
def test_a_sharp_picture_is_the_renderers(studio):
    studio.painter.want(WANTED)
    while studio.painter.step() is not None:
        pass
    config = WANTED.look.config(studio.settings, VIEW.camera())
    square = render(studio.scene(WANTED.choice).field, VIEW.camera(), resolution=256, config=config).rgb
    middle = studio.drawn[-1].pixels[:, 128:384] / 255
    error = np.mean((middle - square.permute(1, 2, 0).numpy()) ** 2)
    assert -10 * np.log10(error) > 50


@pytest.mark.slow
def test_a_stale_sharp_picture_is_not_finished(studio):
    studio.move(0.0)
    studio.painter.step()
    studio.clock.now += STILL
    before = len(studio.asked)

    def moves_once():
        studio.during = lambda: None
        studio.move(0.5)

    studio.during = moves_once
    studio.painter.step()
    dropped = len(studio.asked) - before
    studio.clock.now += 2 * STILL
    studio.painter.step()
    before = len(studio.asked)
    studio.painter.step()
    assert [one.sharp for one in studio.drawn] == [False, False, True]
    assert 5 * dropped < len(studio.asked) - before  # a strip, not a picture


def test_a_stale_quick_picture_is_not_finished_while_pictures_are_seen(studio):
    studio.move(0.0)
    studio.painter.step()
    studio.during = lambda: studio.move(0.2)
    studio.move(0.1)
    studio.painter.step()
    assert len(studio.drawn) == 1
    studio.during = lambda: None
    studio.painter.step()
    assert [one.wanted.view.position[0] for one in studio.drawn] == [0.0, 0.2]


@pytest.mark.slow
def test_a_camera_that_never_rests_is_followed_twelve_times_a_second(studio):
    """However often a camera comes: here with every strip of every picture."""
    moves = iter(range(10**6))

    def during():
        studio.clock.now += 0.004
        studio.move(next(moves) / 1000)

    studio.move(0.0)
    studio.during = during
    begun = studio.clock.now
    while studio.clock.now < begun + 1:
        studio.painter.step()
    assert len(studio.drawn) >= 0.9 / LONGEST_WAIT
    assert not any(one.sharp for one in studio.drawn)


def test_a_quick_picture_of_another_object_is_not_finished(studio):
    studio.move(0.2)
    studio.during = lambda: studio.painter.want(replace(WANTED, choice=Choice(model="ball", seed=5)))
    studio.painter.step()
    assert studio.drawn == []
    studio.during = lambda: None
    studio.painter.step()
    assert studio.drawn[-1].wanted.choice.seed == 5


@pytest.mark.slow
def test_the_object_is_made_once_for_all_cameras(studio):
    for x in range(5):
        studio.move(float(x))
        studio.painter.step()
    assert studio.made == 1


def test_what_fails_is_told_once_and_the_next_thing_is_drawn(studio):
    studio.painter.want(replace(WANTED, choice=Choice(model="ball", seed=13)))
    while studio.painter.step() is not None:
        pass
    assert [str(error) for error in studio.errors] == ["no such luck"]
    studio.painter.want(WANTED)
    studio.painter.step()
    assert len(studio.drawn) == 1


def test_nothing_is_drawn_while_something_else_is_shown_and_all_of_it_afterwards(studio):
    studio.painter.want(WANTED)
    studio.painter.pause(True)
    assert studio.painter.step() is None
    assert studio.drawn == []
    studio.painter.pause(False)
    studio.painter.step()
    assert len(studio.drawn) == 1


def test_a_thread_draws_and_ends(studio):
    before = threading.active_count()
    studio.painter = Painter(studio.scene, studio.drawn.append, studio.errors.append, Turns())
    shown = threading.Event()
    studio.painter._show = lambda drawn: drawn.sharp and shown.set()
    studio.painter.start()
    studio.painter.want(WANTED)
    assert shown.wait(60)
    studio.painter.close()
    assert threading.active_count() == before


def test_pictures_are_as_large_as_time_allows():
    fast, slow = Pace(), Pace()
    for _ in range(50):
        fast.measured(256, 0.01)
        slow.measured(96, 3.0)
    assert fast.moving == LARGEST
    assert slow.moving == SMALLEST
    assert fast.sharp(720) == pace.SHARP_LARGEST
    assert fast.sharp(400) == 400
    assert slow.sharp(720) == pace.SHARP_SMALLEST
    middle = Pace()
    for _ in range(50):
        middle.measured(256, 4 * pace.BUDGET)
    assert middle.moving == 128


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for():
    turns, order, threads = Turns(), [], []
    turns.__enter__()
    for number in range(6):

        def take(number=number):
            with turns:
                order.append(number)

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        while len(turns._waiting) <= number:
            pass
    turns.__exit__(None, None, None)
    for thread in threads:
        thread.join()
    assert order == list(range(6))
    with turns:  # and it is free again
        pass
