import importlib.util
import json
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
import trimesh

import gen3d_tools as g3
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.media.images import read_image

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))


def module_of(number: int):
    """Import an example by its number; its name is no identifier."""
    path = EXAMPLES[number - 1]
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(number: int):
    return module_of(number).main


def test_examples_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in EXAMPLES] == list(range(1, 8))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_says_what_it_shows_and_how_to_run_it(path):
    text = path.read_text()
    docstring = module_of(int(path.name[:2])).__doc__
    assert len(docstring.splitlines()) >= 4
    assert f"python examples/{path.name}" in docstring
    assert len(text.splitlines()) <= 65
    assert text.endswith('\n\nif __name__ == "__main__":\n    main()\n')


def test_first_picture_is_that_of_its_seed_and_class(tiny_folder, tmp_path, capsys):
    files = example(1)(model=tiny_folder, class_name="ball", seed=5, size=16, out=tmp_path)
    generator = g3.load_generator(tiny_folder)
    (field,) = generator.fields(generator.latents([5], ["ball"], truncation_psi=0.7))
    expected = g3.render(field, generator.default_camera(), resolution=16, supersample=2).rgb
    torch.testing.assert_close(read_image(files["rgb"]), expected.cpu(), atol=0.5 / 255 + 1e-6, rtol=0)
    assert capsys.readouterr().out.split() == [str(path) for path in files.values()]


def test_orbit_video_has_a_picture_per_frame(tiny_folder, tmp_path):
    path = example(2)(model=tiny_folder, class_name="cube", seed=0, size=16, frames=3, out=tmp_path)
    assert frames_of(path).shape == (3, 16, 16, 3)


def test_coloured_mesh_is_closed_and_the_printer_gets_z_up(tiny_folder, tmp_path):
    files = example(3)(model=tiny_folder, class_name="ball", seed=0, resolution=24, out=tmp_path)
    viewer, printer = read_mesh(files[0]), trimesh.load_mesh(files[1])
    assert viewer.is_watertight
    assert len(np.unique(viewer.visual.vertex_colors, axis=0)) > 1
    np.testing.assert_allclose(printer.extents, 80 * viewer.extents[[0, 2, 1]] / viewer.extents.max(), rtol=1e-4)
    assert printer.bounds[0, 2] == pytest.approx(0, abs=1e-3)


def test_latent_walk_passes_its_keyframes_and_moves(tiny_folder, tmp_path):
    path = example(4)(model=tiny_folder, classes=("ball", "cube"), size=16, frames_per_class=2, out=tmp_path)
    film = frames_of(path)
    assert film.shape == (4, 16, 16, 3)
    assert all((film[i] != film[i - 1]).any() for i in range(4))


def test_cameras_come_back_from_every_format_with_their_pictures(tiny_folder, tmp_path):
    files = example(5)(model=tiny_folder, class_name="ball", frames=5, size=16, out=tmp_path)  # compares them itself
    assert [path.name for path in files] == ["camera_path.json", "transforms.json", "0"]
    assert all(len(g3.load_cameras(path)) == 5 for path in files)
    names = [frame["file_path"] for frame in json.loads(files[1].read_text())["frames"]]
    assert [read_image(files[1].parent / name).shape for name in names] == [(3, 16, 16)] * 5


def test_drilled_ball_has_three_holes_that_meet(tmp_path):
    picture, mesh = example(6)(size=32, resolution=48, out=tmp_path)
    solid = read_mesh(mesh)
    assert solid.is_watertight
    assert solid.euler_number == 2 - 2 * 5  # six mouths joined inside: genus 5
    rgb = read_image(picture)
    assert (rgb[:, 0, 0] == 1).all()  # white beside the ball
    assert rgb[:, 16, 16].min() < 0.9


@pytest.mark.slow
def test_a_photo_becomes_a_model_and_a_walk_around_it(tiny_folder, tmp_path, monkeypatch):
    few = g3.InversionSettings().changed(
        steps1=1, steps2=1, search_starts=1, search_keep=1, search_steps=1, search_keep_steps=1, resolution=16
    )
    made, invert = [], g3.invert

    def invert_once(*arguments, **options):
        made.extend(() if made else [invert(*arguments, **options)])
        return made[0]

    monkeypatch.setattr(g3, "invert", invert_once)
    files = example(7)(model=tiny_folder, settings=few, size=16, views=3, out=tmp_path)
    assert g3.load_generator(files["result"], base=tiny_folder).pivot is not None
    assert read_image(files["picture"]).shape == (3, 16, 48)
    moved = example(7)(model=tiny_folder, settings=few, size=16, views=3, amount=0.5, out=tmp_path / "moved")
    assert (read_image(moved["picture"]) != read_image(files["picture"])).any()


def frames_of(path: Path) -> np.ndarray:
    """Every frame of a video of 16 x 16 pixels, [frames, h, w, 3]."""
    raw = ["-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), *raw], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 16, 16, 3)
