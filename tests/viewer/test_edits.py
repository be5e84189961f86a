"""Sliders of directions: offered for the object's class, applied to its latents, said by the command."""

import shlex

import numpy as np
import pytest
import torch

import gen3d_tools as g3
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.viewer.actions.edits import FARTHEST, offer
from gen3d_tools.viewer.choice import base_ws
from tests.viewer.recording_page import PIXELS, session_of, still


@pytest.fixture(scope="module")
def generator(tiny_folder):
    return g3.load_generator(tiny_folder, device="cpu")


@pytest.fixture
def session(generator, tiny_folder):
    session = session_of(generator, directions={"model 0": offer(generator, str(tiny_folder))})
    yield session
    session.close()


@pytest.mark.slow
def test_a_slider_moves_the_object_along_its_direction(session, generator):
    before, _ = still(session)
    name = session.edits.offered[0].name
    session.edits.set(name, 3.0)
    after, _ = still(session)
    assert np.abs(after.astype(int) - before).mean() > 0.5
    ws = session.edits.offered[0].apply(base_ws(generator, session.choice), 3.0)
    assert torch.equal(session.offered("model 0").move(base_ws(generator, session.choice), session.choice), ws)
    session.edits.clear()
    again, _ = still(session)
    assert (again == before).all()


@pytest.mark.parametrize(("name", "amount"), [("no-such", 1.0), ("sefa-1", FARTHEST + 1), ("sefa-1", float("nan"))])
def test_what_no_slider_says_is_refused(session, name, amount):
    with pytest.raises(InputError):
        session.edits.set(name, amount)


@pytest.mark.slow
def test_the_commands_make_the_edited_picture(session, tmp_path, monkeypatch, capsys):
    import imageio.v3 as iio
    from typer.testing import CliRunner

    from gen3d_tools.cli.app import app

    session.show(size=PIXELS)
    session.choose(seed=2, class_index=0)
    session.edits.set("sefa-1", 2.0)
    session.take_home.picture()
    session.jobs.wait()
    [(name, content)] = session.page.files
    monkeypatch.chdir(tmp_path)
    for command in session.take_home.command().split(" && "):
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
    error = iio.imread(tmp_path / name).astype(int) - iio.imread(content)
    assert np.abs(error).mean() < 0.1


def test_a_file_of_another_model_is_refused(generator, tiny_folder, tmp_path):
    g3.find_directions(g3.load_generator("shapes", device="cpu"), count=2).save(tmp_path / "other.safetensors")
    with pytest.raises(Gen3DError, match="another model"):
        offer(generator, str(tiny_folder), [tmp_path / "other.safetensors"])


def test_edits_that_a_class_does_not_have_are_dropped_with_it(session):
    from dataclasses import replace

    offered = session.offered("model 0")
    entries = tuple(replace(one, class_index=0) for one in offered.directions.entries[:2])
    of_balls = replace(offered, directions=replace(offered.directions, entries=entries))
    session.directions["model 0"] = of_balls
    session.choose(class_index=0)
    session.edits.set(entries[0].name, 1.0)
    session.choose_class("cube")
    assert session.choice.edits == ()
    assert session.edits.offered == ()
