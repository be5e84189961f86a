"""Every family on a device other than the CPU: nothing is left behind, and the results are those of the CPU.

On any machine the device is a pretended one, which refuses what CUDA refuses; the tests marked `gpu` repeat it all.
"""

from contextlib import nullcontext

import pytest
import torch

from gen3d_tools.cameras.camera import stack_cameras
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.latent_prior import latent_prior
from gen3d_tools.inversion.stages.objective import Objective, target_of
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.renderer import normals, render
from tests.generators.small_families import FAMILIES
from tests.support.pretended_device import DeviceError, Pretended, pretended_device

DEVICES = ["pretended", pytest.param("cuda", marks=pytest.mark.gpu)]
PICTURE_ERROR = 10 ** (-50 / 20)  # root mean square of 50 dB


@pytest.fixture(params=DEVICES)
def device(request):
    place = pretended_device() if request.param == "pretended" else nullcontext(torch.device("cuda"))
    with place as found:
        yield found


def build(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FAMILIES[name]().eval().requires_grad_(False)


def field_of(generator):
    ws = generator.latents([1], [0] if generator.class_names else None, 0.7)
    return generator.fields(ws)[0]


def on_cpu(tensor):
    return tensor.held if isinstance(tensor, Pretended) else tensor.cpu()


def assert_same_picture(seen, wanted):
    assert (on_cpu(seen) - on_cpu(wanted)).square().mean().sqrt() < PICTURE_ERROR


@pytest.mark.parametrize("name", FAMILIES)
def test_planes_and_pictures_are_those_of_the_cpu(name, device):
    wanted, here = field_of(build(name)), field_of(build(name).to(device))
    assert here.planes.device == device
    torch.testing.assert_close(on_cpu(here.planes), wanted.planes, atol=1e-4, rtol=0)
    camera = build(name).default_camera()  # on the CPU, where people have it
    seen, reference = (render(field, camera, resolution=12, exact=True) for field in (here, wanted))
    assert_same_picture(seen.rgb, reference.rgb)
    for options in ({}, {"supersample": 2}):  # CPUs have samples of their own there
        seen = render(here, camera, resolution=12, **options)
        assert seen.rgb.device == seen.depth.device == normals(here, camera, seen).device == device
        assert on_cpu(seen.rgb).isfinite().all()


@pytest.mark.parametrize("name", ["geometry_aware", "epigraf-sphere"])
def test_a_field_in_half_precision_is_previewed_there(name, device):
    generator = build(name).to(device)
    ws = generator.latents([1], [0] if generator.class_names else None)
    [field] = generator.fields(ws, dtype=torch.bfloat16)
    assert field.planes.dtype == torch.float32
    assert field.planes.device == device


def test_learned_cameras_and_depth_are_made_there(device):
    generator, wanted = build("threedgp").to(device), build("threedgp")
    cameras = generator.sample_cameras(2, [3, 4])
    torch.testing.assert_close(on_cpu(cameras.cam2world), wanted.sample_cameras(2, [3, 4]).cam2world, atol=1e-4, rtol=0)
    depth = torch.full((1, 1, 8, 8), 2.5)
    adapted = generator.adapt_depth(depth.to(device))
    torch.testing.assert_close(on_cpu(adapted), wanted.adapt_depth(depth), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["geometry_aware", "eg3d", "epigraf", "threedgp"])
def test_a_mesh_is_taken_from_a_field_there(name, device):
    wanted, here = field_of(build(name)), field_of(build(name).to(device))
    points = torch.rand(256, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    level = float(wanted.density(points).median())
    options = {"resolution": 16, "iso_level": level, "keep_background": True}
    mesh, reference = extract_mesh(here, **options), extract_mesh(wanted, **options)
    assert mesh.vertices.shape == pytest.approx(reference.vertices.shape, rel=0.02)
    assert len(mesh.visual.vertex_colors) == len(mesh.vertices)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["geometry_aware", "eg3d", "epigraf-plane"])
def test_both_stages_of_an_inversion_run_and_go_on_there(name, device):
    generator = build(name).to(device)
    settings = InversionSettings().changed(
        resolution=8, rays1=64, rays2=64, w_samples=20, steps1=2, steps2=2, locality_points=64, growth=0.2
    )
    prior = latent_prior(generator, 0 if generator.class_names else None, settings.stage_one.w_samples)
    field = generator.fields(prior.mean.expand(1, generator.num_ws, -1))[0]
    mask = torch.ones(1, 10, 10)
    mask[..., :3] = 0
    photo = Photo(torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(0)), mask)
    objective = Objective([target_of(photo, field, settings)], settings, None, settings.stage_one.rays, 1.0)
    cameras = stack_cameras([generator.default_camera()])
    one = StageOne(generator, prior, prior.mean[None], cameras, objective, settings, move_camera=True)
    one.step()
    two = StageTwo(generator, one.ws(), one.cameras(), objective, settings, None)
    two.step()
    for stage in (one, two):  # what lies on disk is read to the CPU
        states = stage.optimizer.state_dict()["state"].items()
        at_rest = {index: {name: on_cpu(value) for name, value in state.items()} for index, state in states}
        stage.optimizer.load_state_dict({"state": at_rest})
        found = stage.optimizer.state_dict()["state"].values()
        assert all(value.device == device for state in found for value in state.values())
        stage.step()
    assert one.ws().device == two.tuned().device == device
    assert all(loss == loss for loss in one.losses + two.losses)


def test_the_pretended_device_refuses_what_cuda_refuses():
    with pretended_device() as device:
        here, there = torch.ones(2, device=device), torch.ones(2)
        assert on_cpu(here + here.new_tensor([1.0, 2.0])).tolist() == [2.0, 3.0]
        assert on_cpu(there.to(device) * torch.tensor(3.0)).tolist() == [3.0, 3.0]
        for slip in (lambda: here + there, lambda: here.double(), lambda: torch.tensor([1.0, 2.0]) * here):
            with pytest.raises(DeviceError):
                slip()
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            here.numpy()
        with pytest.raises(DeviceError, match="generator"):
            torch.rand(2, device=device, generator=torch.Generator())
