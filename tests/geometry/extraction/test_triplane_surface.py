from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from gen3d_tools.errors import Gen3DError, InputError, OutOfMemoryError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.geometry.extraction import lattice
from gen3d_tools.geometry.extraction import triplane_surface as fast
from gen3d_tools.geometry.extraction.isosurface import isosurface, raw_iso_level
from gen3d_tools.geometry.mesh import extract_mesh


@pytest.fixture
def field():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        decoder = Decoder(8, [32, 32], 3, density_gain=20.0)
        planes = 3 * torch.nn.functional.interpolate(torch.randn(3, 8, 5, 5), size=(24, 24), mode="bicubic")
    return TriplaneField(
        planes=planes,
        decoder=decoder,
        render_config=RenderConfig(near="box", far="box"),
        box_side=1.4,
        plane_axes="xy-xz-zy",
        align_corners=False,
        density_shift=-1.0,
        iso_level=1.0,
    )


def as_function(field):
    """The same field with a decoder that nobody can describe: the plain path."""
    return replace(field, decoder=lambda features: field.decoder(features))


def test_surface_is_that_of_the_plain_path(field):
    raw_level = raw_iso_level(1.0, "softplus", -1.0)
    ours = fast.triplane_surface(field, resolution=40, iso_level=1.0, raw_level=raw_level)
    theirs = isosurface(field.raw_density, resolution=40, box_side=1.4, iso_level=raw_level)
    mine, plain = (trimesh.Trimesh(*surface, process=False) for surface in (ours, theirs))
    assert (len(mine.vertices), len(mine.faces)) == (len(plain.vertices), len(plain.faces))
    assert mine.is_watertight
    assert mine.volume == pytest.approx(plain.volume, rel=1e-4)
    assert mine.bounds == pytest.approx(plain.bounds, abs=0.01 * 1.4 / 39)


def test_the_kernels_serve_described_fields_only(field):
    settings = {"resolution": 16, "iso_level": 1.0, "raw_level": 1.5}
    assert fast.triplane_surface(field, **settings) is not None
    assert fast.triplane_surface(as_function(field), **settings) is None


def test_no_surface_says_the_same_as_the_plain_path(field):
    messages = []
    for one in (field, as_function(field)):
        with pytest.raises(Gen3DError, match="no surface at level 5000: densities span") as caught:
            extract_mesh(one, resolution=16, iso_level=5000.0)
        messages.append(str(caught.value))
    assert messages[0][:60] == messages[1][:60]


def test_a_field_full_of_density_has_no_surface(field):
    full = replace(field, density_shift=1e4)
    with pytest.raises(Gen3DError, match="no surface at level 1"):
        extract_mesh(full, resolution=16)


def test_planes_that_are_not_finite_are_named_with_the_place(field):
    field.planes[0, 3, 5, 5] = float("nan")
    with pytest.raises(Gen3DError, match=r"the field is nan at \("):
        extract_mesh(field, resolution=16)


@pytest.mark.parametrize("resolution", [7, 1025])
def test_resolution_outside_its_range_is_refused(field, resolution):
    with pytest.raises(InputError, match=f"resolution is {resolution}"):
        extract_mesh(field, resolution=resolution)


def test_tables_that_do_not_fit_name_a_smaller_resolution(field, monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("gen3d_tools.kernels.lattice.surface.bounded_lattice", no_memory)
    with pytest.raises(OutOfMemoryError, match="resolution 64 does not fit into memory; try 32"):
        extract_mesh(field, resolution=64)


def test_memory_is_asked_for_as_the_tables_need_it_not_the_whole_lattice(field, monkeypatch):
    class Reached(Exception):
        pass

    def begin(*_, **__):
        raise Reached

    monkeypatch.setattr("gen3d_tools.kernels.lattice.surface.bounded_lattice", begin)
    settings = {"resolution": 1024, "iso_level": 1.0, "raw_level": 1.5}
    monkeypatch.setattr(lattice, "free_memory", lambda: 2 * 10**9)  # all points need 4.3 GB
    with pytest.raises(Reached):
        fast.triplane_surface(field, **settings)
    monkeypatch.setattr(lattice, "free_memory", lambda: 300 * 10**6)
    with pytest.raises(
        OutOfMemoryError, match=r"resolution 1024 needs 1\.\d GB, 0\.3 GB are free; try resolution 5\d\d"
    ):
        fast.triplane_surface(field, **settings)


@pytest.mark.slow
def test_world_coordinates_do_not_depend_on_the_path(field):
    far = replace(field, box_side=30.0)
    assert np.ptp(extract_mesh(far, resolution=24, colors=False).vertices) == pytest.approx(
        np.ptp(extract_mesh(as_function(far), resolution=24, colors=False).vertices), rel=1e-4
    )
