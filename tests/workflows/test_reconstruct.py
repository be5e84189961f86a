"""`gen3d invert` with a TripoSR folder: one pass, a result of its own, and every command takes it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from trimesh.visual import TextureVisuals

from gen3d_tools.checkpoints.native import read_layout
from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.inversion.presets import preset
from gen3d_tools.inversion.refine import refine
from gen3d_tools.inversion.stages.camera_fit import angle_between_deg
from gen3d_tools.metrics.pictures import psnr
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.renderer import render
from gen3d_tools.wording import options_are_typed
from gen3d_tools.workflows.invert.run import PhotoOptions, WorkOptions, invert
from gen3d_tools.workflows.mesh.options import MeshOptions
from gen3d_tools.workflows.mesh.run import mesh
from gen3d_tools.workflows.page.figures import FigureSizes
from gen3d_tools.workflows.page.run import page
from gen3d_tools.workflows.running.runs import RunOptions
from gen3d_tools.workflows.sample import sample
from gen3d_tools.workflows.samples.selection import SampleSelection
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video.run import video
from tests import published_folders
from tests.viewer.recording_page import session_of, still

BEST = WorkOptions(preset="best")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(published_folders.write(tmp_path_factory.mktemp("models") / "triposr"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    rgba = np.zeros((60, 80, 4), np.uint8)
    y, x = np.mgrid[:60, :80]
    rgba[(x - 40) ** 2 + (y - 30) ** 2 < 400] = (220, 60, 30, 255)
    path = tmp_path_factory.mktemp("photos") / "ball.png"
    Image.fromarray(rgba).save(path)
    return path


@pytest.fixture(scope="module")
def result(model, photo, tmp_path_factory):
    target = tmp_path_factory.mktemp("results") / "ball"
    run = invert([photo], model=model, work=BEST, out=target)
    assert run.outputs == [target]
    assert run.next_command == f"gen3d video {target}"
    return target


def test_a_result_is_a_model_of_its_own(result):
    made = load_generator(result, device="cpu")
    assert isinstance(made, Reconstruction)
    layout = read_layout(result)
    assert layout["planes"].precision == "float16"
    assert {one.precision for name, one in layout.items() if name != "planes"} == {"float32"}
    told = json.loads((result / "config.json").read_text())["provenance"]
    assert (told["photo"], told["model"], told["refined_steps"]) == ("ball.png", "triposr", 0)
    assert {path.name for path in result.iterdir()} >= {"photo.png", "overview.png", "README.md", "run.json"}


def test_the_object_is_what_the_network_says_of_the_prepared_photo(result, photo):
    from gen3d_tools.generators.reconstructors.picture import encoder_picture, on_grey, squared

    rgba = np.asarray(Image.open(photo))
    network = published_folders.network()
    wanted = network.reconstruct(encoder_picture(on_grey(squared(rgba)), 32))
    made = load_generator(result, device="cpu")
    assert torch.equal(made.planes, wanted.planes.half().float())
    assert all(torch.equal(one, wanted.decoder.state_dict()[name]) for name, one in made.decoder.state_dict().items())


@pytest.fixture
def solid(result, tmp_path):
    """The result, with a level that its random densities cross; as it lies on disk, with its overview."""
    made = load_generator(result, device="cpu")
    [field] = made.fields(made.no_latents())
    points = (torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * field.box_side
    made.settings = replace(made.settings, iso_level=float(field.density(points).median()))
    made.save_compact(tmp_path / "solid")
    shutil.copy(result / "overview.png", tmp_path / "solid")
    return str(tmp_path / "solid")


@pytest.mark.slow
def test_pictures_films_and_textured_meshes_are_made_of_a_result(solid, tmp_path):
    pictures = sample(solid, look=ViewOptions(size=16), options=RunOptions(out=tmp_path / "a.png"))
    assert [path.name for path in pictures.outputs] == ["a.png"]
    filmed = video(solid, seconds=0.1, look=ViewOptions(size=16), options=RunOptions(out=tmp_path / "a.mp4"))
    assert [path.name for path in filmed.outputs] == ["a.mp4"]
    shape = MeshOptions(resolution=16, texture=64, color_from="points")
    mesh(solid, surface=shape, options=RunOptions(out=tmp_path / "a.glb"))
    meshed = read_mesh(str(tmp_path / "a.glb"))
    assert len(meshed.faces) > 100
    assert isinstance(meshed.visual, TextureVisuals)


@pytest.mark.slow
def test_a_page_shows_a_result_with_how_it_came_about(solid, tmp_path):
    sizes = FigureSizes(film=16, frames=2, picture=16, lattice=16, faces=300, texture=0)
    page([solid], sizes=sizes, options=RunOptions(out=tmp_path / "a.html"))
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "How it came about" in text
    assert (text.count("<video "), text.count("<canvas data-mesh"), text.count("<img ")) == (1, 1, 1)


@pytest.mark.slow
def test_the_viewer_shows_a_result(solid):
    session = session_of(load_generator(solid, device="cpu"))
    session.look = replace(session.look, size=64)
    pixels, sharp = still(session)
    session.close()
    assert sharp
    assert pixels.std() > 1
    assert not session.page.failures


@pytest.mark.parametrize("which", ["model", "result"])
def test_seeds_and_classes_are_refused_in_one_sentence(which, request, tmp_path):
    source = str(request.getfixturevalue(which))
    for choice in (SampleSelection(seeds="1"), SampleSelection(classes="mug")):
        with pytest.raises(InputError, match="no classes") as refused:
            sample(source, choice, options=RunOptions(out=tmp_path / "a.png"))
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_the_network_alone_shows_nothing_and_says_what_to_type(model, tmp_path):
    with pytest.raises(InputError, match="gen3d invert PHOTO --model"):
        sample(model, options=RunOptions(out=tmp_path / "a.png"))


@pytest.mark.parametrize(
    ("about", "work", "more"),
    [
        (PhotoOptions(class_name="0"), BEST, {}),
        (PhotoOptions(camera="0,0"), BEST, {}),
        (PhotoOptions(), WorkOptions(space="w"), {}),
        (PhotoOptions(), BEST, {"resume": True}),
        (PhotoOptions(), WorkOptions(steps=10), {}),
    ],
)
def test_what_needs_a_latent_is_refused_before_any_work(model, photo, tmp_path, about, work, more):
    with pytest.raises(InputError, match=r"no latents; leave|looks at the photo once; steps are those of refining"):
        invert([photo], model=model, about=about, work=work, out=tmp_path / "made", **more)
    assert not (tmp_path / "made").exists()


def test_several_photos_are_refused(model, photo, tmp_path):
    with pytest.raises(InputError, match="one photo, got 2"):
        invert([photo, photo], model=model, out=tmp_path / "made")


def test_an_empty_photo_is_refused_and_nothing_is_written(model, tmp_path):
    path = tmp_path / "empty.png"
    Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(path)
    with pytest.raises(InputError, match=r"no object is in empty\.png"):
        invert([path], model=model, out=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_an_option_is_named_as_it_is_typed(model, photo, tmp_path):
    with options_are_typed(), pytest.raises(InputError, match="leave --class, --camera out"):
        invert([photo], model=model, about=PhotoOptions(class_name="0", camera="0,0"), out=tmp_path / "made")


def test_a_dry_run_writes_nothing(model, photo, tmp_path):
    run = invert([photo], model=model, out=tmp_path / "made", refine=True, dry_run=True)
    assert run.outputs == [tmp_path / "made"]
    assert not (tmp_path / "made").exists()


def test_refining_is_for_models_without_latents(photo, tmp_path):
    with pytest.raises(InputError, match="refine"):
        invert([photo], model="shapes", out=tmp_path / "made", refine=True)


@pytest.mark.slow
def test_refining_brings_the_photo_nearer_and_leaves_the_decoder_alone(result):
    made = load_generator(result, device="cpu")
    [field] = made.fields(made.no_latents())
    camera = made.default_camera()
    wanted = render(field, camera, resolution=32).rgb.roll(1, 0)  # other colours, the same shape
    photo = Photo(wanted, torch.ones_like(wanted[:1]))
    settings = preset("fast").changed(steps2=6, rays2=256, resolution=32, locality_points=64)
    tuned = refine(made, photo, settings)
    assert all(torch.equal(one, made.decoder.state_dict()[name]) for name, one in tuned.decoder.state_dict().items())
    pictures = [render(one.fields(one.no_latents())[0], camera, resolution=32).rgb for one in (made, tuned)]
    assert psnr(pictures[1], wanted) > psnr(pictures[0], wanted)


@pytest.mark.slow
def test_the_camera_of_a_photo_is_found_before_the_planes_are_tuned(result):
    made = load_generator(result, device="cpu")
    [field] = made.fields(made.no_latents())
    truth = replace(made.settings.default_view, pitch_deg=24.0).mean()
    photo = Photo(render(field, truth, resolution=48).rgb, torch.ones(1, 48, 48))
    settings = preset("fast").changed(steps2=1, rays2=64, locality_points=64)
    tuned = refine(made, photo, settings)
    before, after = (float(angle_between_deg(one.default_camera(), truth)) for one in (made, tuned))
    assert after < 4 < 20 < before  # the nearest start is 6 degrees away
    assert made.settings.default_view.pitch_deg == 0
    assert torch.equal(tuned.pivot.camera.cam2world, tuned.default_camera().cam2world)
