import json
import struct

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.geometry.export import check_mesh_suffix, linear_to_srgb, read_mesh, srgb_to_linear, write_mesh

COLOURED = [".glb", ".gltf", ".ply", ".obj"]
SUFFIXES = [*COLOURED, ".stl", ".off"]


@pytest.fixture
def mesh():
    """An egg off the axes, each vertex in its own colour."""
    ball = trimesh.creation.icosphere(2)
    colours = np.random.default_rng(0).integers(0, 256, (len(ball.vertices), 3), np.uint8)
    return trimesh.Trimesh(ball.vertices * [1, 2, 3] + [0.5, 0, 0], ball.faces, vertex_colors=colours, process=False)


def gltf_tree(path):
    data = path.read_bytes()
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_surface_survives_the_file(mesh, tmp_path, suffix):
    write_mesh(tmp_path / f"egg{suffix}", mesh)
    back = trimesh.load(tmp_path / f"egg{suffix}", force="mesh", process=False)
    assert back.triangles == pytest.approx(mesh.triangles, abs=1e-6)


@pytest.mark.parametrize("suffix", COLOURED)
def test_vertices_faces_and_colours_survive_in_their_order(mesh, tmp_path, suffix):
    write_mesh(tmp_path / f"egg{suffix}", mesh)
    back = read_mesh(tmp_path / f"egg{suffix}")
    assert back.vertices == pytest.approx(mesh.vertices, abs=1e-6)
    assert np.array_equal(back.faces, mesh.faces)
    assert np.array_equal(back.visual.vertex_colors, mesh.visual.vertex_colors)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_other_programs_read_the_colours_as_they_are(mesh, tmp_path, suffix):
    write_mesh(tmp_path / f"egg{suffix}", mesh)
    back = trimesh.load(tmp_path / f"egg{suffix}", process=False, maintain_order=True)
    assert np.array_equal(back.visual.vertex_colors, mesh.visual.vertex_colors)


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_gltf_colours_are_linear_as_its_standard_wants(mesh, tmp_path, suffix):
    mesh.visual.vertex_colors[:3, :3] = [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
    write_mesh(tmp_path / f"egg{suffix}", mesh)
    (back,) = trimesh.load_scene(tmp_path / f"egg{suffix}", process=False).geometry.values()
    stored = back.visual.vertex_attributes["color"]
    assert stored.dtype == np.uint16
    assert stored[:3, 0] / 65535 == pytest.approx([0, 0.21586, 1], abs=1e-4)
    assert (stored[:, 3] == 65535).all()


def test_glb_has_normals_and_a_matt_material(mesh, tmp_path):
    write_mesh(tmp_path / "egg.glb", mesh)
    tree = gltf_tree(tmp_path / "egg.glb")
    (primitive,) = tree["meshes"][0]["primitives"]
    assert {"POSITION", "NORMAL", "COLOR_0"} <= set(primitive["attributes"])
    material = tree["materials"][primitive["material"]]["pbrMetallicRoughness"]
    assert material == {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0, "roughnessFactor": 0.9}
    colour = tree["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (colour["componentType"], colour["normalized"], colour["type"]) == (5123, True, "VEC4")
    assert tree["bufferViews"][colour["bufferView"]]["byteLength"] == 8 * len(mesh.vertices)
    assert sum(view["byteLength"] for view in tree["bufferViews"]) == tree["buffers"][0]["byteLength"]


def test_mesh_without_colours_gets_the_material_too(mesh, tmp_path):
    write_mesh(tmp_path / "plain.glb", trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))
    (primitive,) = gltf_tree(tmp_path / "plain.glb")["meshes"][0]["primitives"]
    assert "COLOR_0" not in primitive["attributes"]
    assert "material" in primitive


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_z_up_turns_the_mesh_and_keeps_it_whole(mesh, tmp_path, suffix):
    write_mesh(tmp_path / f"egg{suffix}", mesh, up="z")
    back = trimesh.load(tmp_path / f"egg{suffix}", force="mesh", process=False)
    x, y, z = mesh.bounds.T
    assert back.bounds == pytest.approx(np.stack([x, -z[::-1], y], axis=1), abs=1e-5)
    assert back.volume == pytest.approx(mesh.volume, rel=1e-5)  # turned, not mirrored


def test_z_up_turns_the_normals_with_the_surface(mesh, tmp_path):
    write_mesh(tmp_path / "egg.ply", mesh, up="z")
    back = trimesh.load(tmp_path / "egg.ply", process=False)
    x, y, z = mesh.vertex_normals.T
    assert back.vertex_normals == pytest.approx(np.stack([x, -z, y], axis=1), abs=1e-5)


def test_writing_does_not_change_the_mesh(mesh, tmp_path):
    mesh.metadata["note"] = "mine"
    before = mesh.vertices.copy()
    write_mesh(tmp_path / "egg.glb", mesh, up="z")
    assert np.array_equal(mesh.vertices, before)
    assert mesh.metadata["note"] == "mine"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_mesh_gives_the_same_bytes(mesh, tmp_path, suffix):
    for name in ("one", "two"):
        write_mesh(tmp_path / f"{name}{suffix}", mesh.copy())
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_srgb_bytes_come_back_from_linear_light():
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    assert np.array_equal(linear_to_srgb(srgb_to_linear(every)), every)


@pytest.mark.parametrize("name", ["egg.xyz", "egg", "egg.glb.txt"])
def test_unknown_suffix_lists_the_known_ones(mesh, tmp_path, name):
    with pytest.raises(InputError, match=r"written as one of \.glb, \.gltf, \.ply, \.obj, \.stl, \.off"):
        write_mesh(tmp_path / name, mesh)
    assert not list(tmp_path.iterdir())


def test_suffix_can_be_checked_before_any_work_and_in_capitals():
    check_mesh_suffix("chair.GLB")
    with pytest.raises(InputError, match=r"'\.fbx'"):
        check_mesh_suffix("chair.fbx")


def test_unknown_axis_is_refused(mesh, tmp_path):
    with pytest.raises(InputError, match="'x', it must be y or z"):
        write_mesh(tmp_path / "egg.glb", mesh, up="x")


def test_existing_file_stays_unless_asked(mesh, tmp_path):
    path = tmp_path / "egg.ply"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        write_mesh(path, mesh)
    assert path.read_text() == "precious"
    write_mesh(path, mesh, overwrite=True)
    assert len(read_mesh(path).faces) == len(mesh.faces)


def test_reading_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(NotFoundError, match="is not there"):
        read_mesh(tmp_path / "none.glb")
    for suffix in SUFFIXES:
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(b"not a mesh")
        with pytest.raises(InputError, match="does not hold one triangle mesh"):
            read_mesh(broken)
