"""What is taken home is what the commands make."""

import io
import json
import re
import shlex
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
import trimesh

import gen3d_tools as g3
from gen3d_tools.viewer.drawing.window import default_view
from gen3d_tools.workflows.mesh.options import MeshOptions
from tests.viewer.recording_page import PIXELS, session_of, still


@pytest.fixture
def generator(tiny_folder):
    return g3.load_generator(tiny_folder, device="cpu")


@pytest.fixture
def session(generator):
    session = session_of(generator)
    session.choose(seed=3, class_index=1)
    session.show(size=PIXELS)
    yield session
    session.close()


def taken(session, action):
    action()
    session.jobs.wait()
    assert session.page.failures == []
    return session.page.files[-1]


def run(command, folder, monkeypatch):
    from typer.testing import CliRunner

    from gen3d_tools.cli.app import app

    monkeypatch.chdir(folder)
    words = shlex.split(command)
    assert words[0] == "gen3d"
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("changes", [{}, {"kind": "normals"}, {"exact": True}])
def test_the_command_makes_the_picture_to_the_bit(session, tmp_path, monkeypatch, changes):
    session.show(**changes)
    session.choose(psi=0.8)
    session.look_from(
        replace(
            session.view, position=tuple(g3.Camera.from_spherical(-50.0, 10.0, 2.7, fov_y_deg=20.0).position.tolist())
        )
    )
    name, content = taken(session, session.take_home.picture)
    assert name == "cube-0003.png"
    run(session.take_home.command(), tmp_path, monkeypatch)
    error = iio.imread(tmp_path / name).astype(int) - iio.imread(content)
    assert np.abs(error).max() <= 1  # the angles are written with six digits


def test_from_another_distance_the_command_takes_the_camera_file(session, tmp_path, monkeypatch):
    session.look_from(replace(session.view, position=(1.0, 1.0, 3.0)))
    _, content = taken(session, session.take_home.picture)
    name, camera = taken(session, session.take_home.camera)
    (tmp_path / name).write_bytes(camera)
    run(session.take_home.command(), tmp_path, monkeypatch)
    error = iio.imread(next((tmp_path / "pictures").rglob("00000.png"))).astype(int) - iio.imread(content)
    assert np.abs(error).mean() < 0.1


def test_the_lines_make_what_no_option_says(session, tmp_path, monkeypatch):
    session.choose(blend=0.4, second_seed=8, style_seed=5, mixed=(2, 4))
    lines = session.take_home.command()
    _, content = taken(session, session.take_home.picture)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "lines", "exec"), {})
    error = iio.imread(tmp_path / "cube-0003.png").astype(int) - iio.imread(content)
    assert np.abs(error).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"kind": "depth"}, {"kind": "normals"}, {"kind": "opacity"}, {"background": "black"}]
)
def test_the_lines_make_what_is_shown_from_wherever(session, tmp_path, monkeypatch, changes):
    session.choose(blend=0.4, second_seed=8)
    place = g3.Camera.from_spherical(-50.0, 10.0, 4.5, fov_y_deg=20.0).position  # farther than the model's rays reach
    session.look_from(replace(session.view, position=tuple(place.tolist()), look_at=(0.0, 0.0, 0.0)))
    session.show(**changes)
    monkeypatch.chdir(tmp_path)
    exec(compile(session.take_home.command(), "lines", "exec"), {})
    made = iio.imread(tmp_path / "cube-0003.png").astype(int)
    if session.look.kind == "depth":  # its colours span what is seen, those of a page the model's box
        made = iio.imread(taken(session, session.take_home.picture)[1]).astype(int) - made
        assert np.abs(made).mean() < 0.1
        return
    assert made.std() > 1
    assert np.abs(still(session)[0].astype(int) - made).mean() < 0.5


def test_the_picture_taken_home_is_the_one_that_is_seen(session):
    seen, sharp = still(session)
    assert sharp
    _, content = taken(session, session.take_home.picture)
    assert np.abs(seen.astype(int) - iio.imread(content)).max() <= 1


def test_the_mesh_opens_elsewhere(session):
    name, content = taken(session, lambda: session.take_home.mesh(MeshOptions(resolution=32, keep_background=True)))
    assert name == "cube-0003.glb"
    mesh = trimesh.load_mesh(io.BytesIO(content), file_type="glb")
    assert len(mesh.faces) > 100


def test_points_have_the_number_that_was_asked_for(session):
    options = MeshOptions(resolution=32, keep_background=True)
    name, content = taken(session, lambda: session.take_home.points(options, 500))
    assert name == "cube-0003-points.ply"
    assert len(trimesh.load(io.BytesIO(content), file_type="ply").vertices) == 500


def test_the_record_says_model_object_and_camera(session, generator):
    name, content = taken(session, session.take_home.record)
    record = json.loads(content)
    assert name == "cube-0003.run.json"
    assert record["model_sha256"]
    assert (record["options"]["seed"], record["options"]["class_index"]) == (3, 1)
    label = default_view(generator).camera().to_eg3d_label().tolist()
    assert record["details"]["camera"] == pytest.approx(label, abs=1e-5)


def test_names_of_files_are_safe_whatever_a_class_is_called(session, generator):
    generator.settings = replace(generator.settings, class_names=("ball", "../../etc/passwd\n<b>"))
    name, _ = taken(session, session.take_home.picture)
    assert re.fullmatch(r"[\w.-]+", name)
    assert "/" not in name


@pytest.mark.parametrize("changes", [{"kind": "opacity"}, {"background": "black"}])
def test_what_the_command_does_not_know_is_refused_and_said_in_python(session, changes):
    session.show(**changes)
    session.act(session.take_home.picture)
    assert "gen3d sample" in session.page.failures[-1]
