import bz2
import gzip
import struct
import sys
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
import torch

from gen3d_tools.errors import InputError, MissingDependencyError, NotFoundError, OutOfMemoryError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.extraction import lattice
from gen3d_tools.geometry.extraction.isosurface import isosurface, raw_iso_level
from gen3d_tools.geometry.formats.density_grid import check_density_suffix, read_density, write_density
from tests.geometry.conftest import ball_depth

SUFFIXES = [".npz", ".mrc"]


@pytest.fixture
def field(field_of):
    """A ball off the middle."""
    return field_of(ball_depth((0.2, -0.1, 0.3), 0.5))


@pytest.fixture(autouse=True)
def mrcfile():
    return pytest.importorskip("mrcfile", reason="needs the extra mrc")


def surface(field, resolution):
    level = raw_iso_level(field.iso_level, field.density_activation, field.density_shift)
    return isosurface(field.raw_density, resolution=resolution, box_side=field.box_side, iso_level=level)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_density_on_the_lattice_is_that_of_the_field(field, tmp_path, suffix):
    write_density(tmp_path / f"ball{suffix}", field, resolution=24)
    back = read_density(tmp_path / f"ball{suffix}")
    axis = torch.linspace(-1, 1, 24)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    assert back.density(points).numpy() == pytest.approx(field.density(points).numpy(), rel=1e-3, abs=1e-3)
    assert (back.box_side, back.iso_level) == (pytest.approx(2.0), 10.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_grid_has_the_mesh_of_its_field(tmp_path, suffix):
    """As long as the density falls by less than 80 within a voxel: smaller densities than e^-87 are all the same."""
    field = FunctionField(
        raw_density_fn=lambda points: 1000 * (0.5 - (points - 0.1).norm(dim=-1)),
        density_activation="softplus",
        density_shift=-1.0,
    )
    write_density(tmp_path / f"ball{suffix}", field, resolution=32)
    vertices, faces = surface(read_density(tmp_path / f"ball{suffix}"), 32)
    wanted, wanted_faces = surface(field, 32)
    assert len(faces) == len(wanted_faces)
    assert vertices == pytest.approx(wanted, abs=0.001 * 2 / 31)


def test_other_programs_find_the_ball_where_it_is(field, tmp_path, mrcfile):
    write_density(tmp_path / "ball.mrc", field, resolution=32)
    assert mrcfile.validate(tmp_path / "ball.mrc")
    with mrcfile.open(tmp_path / "ball.mrc") as file:
        z, y, x = (np.stack(np.nonzero(file.data > 10)).mean(axis=1)) * float(file.voxel_size.x)
        origin = file.header.origin
    assert (x + origin.x, y + origin.y, z + origin.z) == pytest.approx((0.2, -0.1, 0.3), abs=0.02)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_field_gives_the_same_bytes(field, tmp_path, suffix):
    for name in ("one", "two"):
        write_density(tmp_path / f"{name}{suffix}", field, resolution=8)
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_grids_of_other_programs_are_read_with_a_level_given_or_guessed(tmp_path, mrcfile):
    grid = np.full((16, 16, 16), -1000, np.float32)
    grid[4:12, 4:12, 4:12] = 50
    with mrcfile.new(tmp_path / "foreign.mrc") as file:
        file.set_data(grid)
    field = read_density(tmp_path / "foreign.mrc")
    assert (field.box_side, field.iso_level) == (15, 25)
    assert read_density(tmp_path / "foreign.mrc", iso_level=10.0).iso_level == 10
    assert field.density(torch.zeros(3)).item() == pytest.approx(50)
    assert field.density(torch.full((3,), 7.0)).item() < 1e-30


def test_bad_files_are_refused_in_one_line(field, tmp_path, mrcfile):
    with pytest.raises(NotFoundError, match="is not there"):
        read_density(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"'\.vol', density grids are kept as \.npz or \.mrc"):
        write_density(tmp_path / "a.vol", field)
    for suffix in SUFFIXES:
        (tmp_path / f"bad{suffix}").write_bytes(b"not a grid")
        with pytest.raises(InputError, match="holds no density grid"):
            read_density(tmp_path / f"bad{suffix}")
    np.savez(tmp_path / "flat.npz", density=np.zeros((8, 9, 8)), box_side=1.0, iso_level=1.0)
    with pytest.raises(InputError, match="8 x 9 x 8 numbers, it must be a cube with 8 to 1024"):
        read_density(tmp_path / "flat.npz")
    np.savez(tmp_path / "nan.npz", density=np.full((8, 8, 8), np.nan), box_side=1.0, iso_level=1.0)
    with pytest.raises(InputError, match="not finite"):
        read_density(tmp_path / "nan.npz")
    np.savez(tmp_path / "code.npz", density=np.array([{}], object), box_side=1.0, iso_level=1.0)
    with pytest.raises(InputError, match="holds no density grid"):
        read_density(tmp_path / "code.npz")
    with pytest.raises(InputError, match="resolution is 4"):
        write_density(tmp_path / "a.npz", field, resolution=4)


def test_levels_that_are_no_surface_are_refused_in_one_line(field, tmp_path):
    path = tmp_path / "a.npz"
    write_density(path, field, resolution=8)
    with pytest.raises(InputError, match="iso level is 0, it must be a density above 0"):
        read_density(path, iso_level=0.0)
    for level in (np.nan, -3.0):
        np.savez(path, density=np.ones((8, 8, 8)), box_side=1.0, iso_level=level)
        with pytest.raises(InputError, match="iso level is"):
            read_density(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"density": np.ones((8, 8, 8)), "box_side": [1.0, 2.0], "iso_level": 1.0},
        {"density": np.full((8, 8, 8), "a"), "box_side": 1.0, "iso_level": 1.0},
        {"density": np.ones((8, 8, 8), complex), "box_side": 1.0, "iso_level": 1.0},
    ],
)
def test_arrays_of_other_kinds_are_refused_in_one_line(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=r"a\.npz holds"):
        read_density(tmp_path / "a.npz")


def test_a_damaged_archive_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, density=np.ones((8, 8, 8)), box_side=1.0, iso_level=1.0)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no density grid"):
        read_density(path)


def claim(path, side):
    """A small file whose header claims a cube of this side."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive, archive.open("density.npy", "w") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (side,) * 3}
            np.lib.format.write_array_header_1_0(file, header)
        return
    with sys.modules["mrcfile"].new(path, data=np.ones((8, 8, 8), np.float32)):
        pass
    content = bytearray(path.read_bytes())
    content[:12] = np.array([side] * 3, "<i4").tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("side", [4096, 512])
def test_what_a_header_claims_is_checked_before_it_is_read(tmp_path, mrcfile, monkeypatch, suffix, side):
    monkeypatch.setattr(lattice, "free_memory", lambda: 10**9)
    claim(tmp_path / f"a{suffix}", side)
    refusal, message = {
        4096: (InputError, rf"^\S*a\{suffix} holds no density grid \(4096 x 4096 x 4096 numbers, it must be"),
        512: (OutOfMemoryError, "resolution 512 needs 2.7 GB, 1 GB are free"),
    }[side]
    with pytest.raises(refusal, match=message):
        read_density(tmp_path / f"a{suffix}")


@pytest.mark.slow
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_grids_are_read_no_further_than_their_header_says(field, tmp_path, mrcfile, pack):
    path = tmp_path / "a.mrc"
    write_density(path, field, resolution=8)
    plain, expected = path.read_bytes(), read_density(path).density(torch.zeros(1, 3))
    path.write_bytes(pack(plain))
    assert torch.equal(read_density(path).density(torch.zeros(1, 3)), expected)
    path.write_bytes(pack(plain + bytes(10**8)))  # 0.1 MB on disk
    tracemalloc.start()
    read_density(path)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    for size in (2**31 - 1, 10**8, -1):  # of an extended header
        path.write_bytes(pack(plain[:92] + struct.pack("<i", size) + plain[96:] + bytes(10**6)))
        with pytest.raises(InputError, match="more bytes of header"):
            read_density(path)


def test_an_archive_with_a_name_twice_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, density=np.ones((8, 8, 8), np.float32), box_side=1.0, iso_level=1.0)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("density.npy", zipfile.ZipFile(path).read("density.npy"))
    with pytest.raises(InputError, match="2 arrays called density"):
        read_density(path)


def test_a_member_that_numpy_would_prefer_is_not_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, density=np.ones((8, 8, 8), np.float32), box_side=1.0, iso_level=1.0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("density", b"0" * 1000)
    assert read_density(path).box_side == 1.0
    with zipfile.ZipFile(path, "w") as archive, archive.open("density.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<V2000000000", "fortran_order": False, "shape": (8,) * 3})
    with pytest.raises(InputError, match="numbers of type"):
        read_density(path)


def test_without_mrcfile_the_message_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "mrcfile", None)
    with pytest.raises(MissingDependencyError, match="pip install mrcfile"):
        check_density_suffix("a.mrc")
    check_density_suffix("a.npz")


@pytest.mark.parametrize("error", [IndexError, SyntaxError, AttributeError, RecursionError])
def test_whatever_a_library_raises_about_a_grid_is_one_line(field, tmp_path, monkeypatch, error):
    write_density(tmp_path / "a.npz", field, resolution=8)

    def choke(*_, **__):
        raise error("two\nlines")

    monkeypatch.setattr("gen3d_tools.geometry.formats.density_grid.read_magic", choke)
    with pytest.raises(InputError, match=r"holds no density grid \(two\\nlines\)"):
        read_density(tmp_path / "a.npz")
