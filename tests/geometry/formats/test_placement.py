import zipfile
from xml.etree import ElementTree

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.formats.export import read_mesh, write_mesh
from gen3d_tools.geometry.formats.lengths import parse_length
from gen3d_tools.geometry.formats.placement import Placement


def test_scale_is_the_longest_side_in_metres(mesh, tmp_path):
    write_mesh(tmp_path / "egg.ply", mesh, scale=0.12)
    back = read_mesh(tmp_path / "egg.ply")
    assert back.extents.max() == pytest.approx(0.12)
    assert back.extents / mesh.extents == pytest.approx(0.12 / mesh.extents.max())
    assert back.bounds.mean(axis=0) == pytest.approx(mesh.bounds.mean(axis=0) * 0.12 / mesh.extents.max())


def test_center_puts_the_middle_of_the_box_at_the_origin(mesh, tmp_path):
    write_mesh(tmp_path / "egg.ply", mesh, center=True, scale=1.0, up="z")
    back = read_mesh(tmp_path / "egg.ply")
    assert back.bounds.mean(axis=0) == pytest.approx(0, abs=1e-7)
    assert back.extents.argmax() == mesh.extents[[0, 2, 1]].argmax()


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scale_is_a_length(mesh, tmp_path, scale):
    with pytest.raises(InputError, match=r"it must be .*, such as 80mm"):
        write_mesh(tmp_path / "egg.ply", mesh, scale=scale)


@pytest.mark.parametrize("length", ["1e40", "1e308", "1e400", "1e10mm", "1e-7", "1e-4mm"])
def test_a_length_that_files_cannot_hold_is_refused_with_the_range(length):
    with pytest.raises(InputError, match="between 1e-06 and 1,000,000 metres, such as 80mm"):
        parse_length(length)


def test_what_stands_in_a_file_has_such_a_length_too():
    for scale in (1e40, 1e-7):
        with pytest.raises(InputError, match="between 1e-06 and 1,000,000 metres"):
            Placement(scale=scale).check()
    for fits in ("1e-3mm", "1e6"):
        Placement(scale=parse_length(fits)).check()


@pytest.mark.parametrize("length", ["80mm", "8 cm", "0.08", ".08 M", "3.1496063in", 0.08])
def test_lengths_are_read_with_their_units(length):
    assert parse_length(length) == pytest.approx(0.08)


@pytest.mark.parametrize("length", ["", "mm", "80 furlongs", "80 m m", "1,5m", "eighty"])
def test_what_is_no_length_is_refused(length):
    with pytest.raises(InputError, match="it must be a length in mm, cm, m, in, ft, such as 80mm"):
        parse_length(length)


@pytest.mark.parametrize(
    ("suffix", "unit", "longest"),
    [(".stl", None, 80), (".stl", "in", 80 / 25.4), (".ply", None, 0.08), (".obj", "cm", 8), (".glb", "mm", 0.08)],
)
def test_printers_get_millimetres_and_gltf_its_metres(mesh, tmp_path, suffix, unit, longest):
    write_mesh(tmp_path / f"egg{suffix}", mesh, scale="80mm", unit=unit)
    assert read_mesh(tmp_path / f"egg{suffix}").extents.max() == pytest.approx(longest, rel=1e-6)


def test_a_unit_without_a_length_or_of_another_kind_is_refused(mesh, tmp_path):
    with pytest.raises(InputError, match="give scale='80mm'"):
        write_mesh(tmp_path / "egg.stl", mesh, unit="mm")
    with pytest.raises(InputError, match="it must be one of mm, cm, m, in, ft"):
        write_mesh(tmp_path / "egg.stl", mesh, unit="parsec", scale=1)


def test_3mf_says_in_which_unit_it_is(mesh, tmp_path):
    for scale, unit, said, longest in (
        (None, None, "meter", 6),
        ("80mm", None, "millimeter", 80),
        ("1ft", "in", "inch", 12),
    ):
        write_mesh(tmp_path / "egg.3mf", mesh, scale=scale, unit=unit, overwrite=True)
        model = ElementTree.fromstring(zipfile.ZipFile(tmp_path / "egg.3mf").read("3D/3dmodel.model"))
        heights = [float(vertex.attrib["z"]) for vertex in model.iter() if vertex.tag.endswith("vertex")]
        assert model.attrib["unit"] == said
        assert max(heights) - min(heights) == pytest.approx(longest, rel=1e-6)


@pytest.mark.parametrize(("up", "axis"), [("y", 1), ("z", 2)])
def test_ground_stands_the_mesh_on_its_upward_axis(mesh, tmp_path, up, axis):
    write_mesh(tmp_path / "egg.ply", mesh, ground=True, up=up)
    low = read_mesh(tmp_path / "egg.ply").bounds[0]
    assert low[axis] == pytest.approx(0, abs=1e-6)
    assert low[0] == pytest.approx(mesh.bounds[0, 0])  # it stays where it was otherwise
    write_mesh(tmp_path / "egg.ply", mesh, ground=True, center=True, up=up, overwrite=True)
    assert read_mesh(tmp_path / "egg.ply").bounds[:, 0].mean() == pytest.approx(0, abs=1e-6)


def test_an_stl_that_a_slicer_would_show_as_dust_is_warned_of(mesh, tmp_path, caplog):
    small = mesh.copy().apply_scale(0.1)
    write_mesh(tmp_path / "egg.stl", small)
    assert "egg.stl is 0.200 x 0.400 x 0.600 units, and slicers read the numbers of an .stl as mm" in caplog.text
    assert "try scale='80mm'" in caplog.text
    caplog.clear()
    write_mesh(tmp_path / "egg.ply", small)
    write_mesh(tmp_path / "large.stl", small, scale="80mm")
    assert not caplog.text
