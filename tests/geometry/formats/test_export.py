import io
import json
import re
import struct
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
import trimesh
from PIL import Image

from gen3d_tools.errors import Gen3DError, InputError, NotFoundError
from gen3d_tools.geometry.color.vertex_colors import linear_to_srgb, srgb_to_linear, texture_of
from gen3d_tools.geometry.formats.export import SUFFIXES, check_mesh_suffix, mesh_files, read_mesh, write_mesh

COLOURED = [".glb", ".gltf", ".ply", ".obj"]
READABLE = [*COLOURED, ".stl", ".off"]


def gltf_tree(path):
    data = path.read_bytes()
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


@pytest.mark.parametrize("suffix", READABLE)
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


def test_glb_names_what_its_parts_are_for_and_keeps_indices_small(mesh, tmp_path):
    write_mesh(tmp_path / "egg.glb", mesh)
    tree = gltf_tree(tmp_path / "egg.glb")
    (primitive,) = tree["meshes"][0]["primitives"]
    indices = tree["accessors"][primitive["indices"]]
    assert indices["componentType"] == 5123  # 16 bits
    assert tree["bufferViews"][indices["bufferView"]]["target"] == 34963
    for accessor in primitive["attributes"].values():
        assert tree["bufferViews"][tree["accessors"][accessor]["bufferView"]]["target"] == 34962


@pytest.mark.slow
def test_many_vertices_have_indices_of_32_bits(tmp_path):
    large = trimesh.creation.icosphere(7)
    assert len(large.vertices) > 1 << 16
    write_mesh(tmp_path / "large.glb", large)
    assert np.array_equal(read_mesh(tmp_path / "large.glb").faces, large.faces)


def test_mesh_without_colours_gets_the_material_too(mesh, tmp_path):
    write_mesh(tmp_path / "plain.glb", trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))
    (primitive,) = gltf_tree(tmp_path / "plain.glb")["meshes"][0]["primitives"]
    assert "COLOR_0" not in primitive["attributes"]
    assert "material" in primitive


@pytest.mark.parametrize("suffix", READABLE)
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
        write_mesh(tmp_path / f"{name}{suffix}", mesh.copy(), name="egg")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_srgb_bytes_come_back_from_linear_light():
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    assert np.array_equal(linear_to_srgb(srgb_to_linear(every)), every)


@pytest.mark.parametrize("name", ["egg.xyz", "egg", "egg.glb.txt"])
def test_unknown_suffix_lists_the_known_ones(mesh, tmp_path, name):
    with pytest.raises(InputError, match=r"written as one of \.glb, \.gltf, \.ply, \.obj, \.stl, \.off, \.3mf"):
        write_mesh(tmp_path / name, mesh)
    assert not list(tmp_path.iterdir())


def test_suffix_can_be_checked_before_any_work_and_in_capitals():
    check_mesh_suffix("chair.GLB")
    with pytest.raises(InputError, match=r"'\.fbx'"):
        check_mesh_suffix("chair.fbx")
    with pytest.raises(InputError, match=r"did you mean \.glb\?"):
        check_mesh_suffix("chair.glbf")


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
    for suffix in READABLE:
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(b"not a mesh")
        with pytest.raises(InputError, match="does not hold one triangle mesh"):
            read_mesh(broken)


def test_normals_of_the_field_are_written_not_those_of_the_faces(mesh, tmp_path):
    odd = mesh.vertex_normals[:, [2, 0, 1]]
    turned = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=odd, process=False)
    for suffix in (".glb", ".gltf", ".ply", ".obj"):
        write_mesh(tmp_path / f"egg{suffix}", turned)
        assert read_mesh(tmp_path / f"egg{suffix}").vertex_normals == pytest.approx(odd, abs=1e-4)


def test_normals_without_a_direction_become_unit_vectors(tmp_path):
    lonely = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], [[0, 1, 2]], process=False)
    write_mesh(tmp_path / "lonely.glb", lonely)
    back = read_mesh(tmp_path / "lonely.glb")
    assert np.linalg.norm(back.vertex_normals, axis=1) == pytest.approx(1)


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".obj"])
def test_textures_survive_the_file(textured, tmp_path, suffix):
    write_mesh(tmp_path / f"square{suffix}", textured)
    back = read_mesh(tmp_path / f"square{suffix}")
    assert back.triangles == pytest.approx(textured.triangles)
    assert back.visual.uv[back.faces] == pytest.approx(textured.visual.uv[textured.faces], abs=1e-6)
    assert np.array_equal(texture_of(back).picture, texture_of(textured).picture)
    assert back.vertex_normals == pytest.approx(textured.vertex_normals, abs=1e-4)


def test_textures_are_matt_and_filtered_without_repetition(textured, tmp_path):
    write_mesh(tmp_path / "square.glb", textured)
    tree = gltf_tree(tmp_path / "square.glb")
    (material,) = tree["materials"]
    surface = material["pbrMetallicRoughness"]
    assert (surface["metallicFactor"], surface["roughnessFactor"]) == (0, 0.9)
    texture = tree["textures"][surface["baseColorTexture"]["index"]]
    assert tree["samplers"][texture["sampler"]]["wrapS"] == 33071  # clamp to edge
    assert tree["images"][texture["source"]]["mimeType"] == "image/png"


@pytest.mark.parametrize("suffix", [".ply", ".3mf", ".stl", ".off"])
def test_where_no_texture_fits_its_colours_are_at_the_vertices_and_the_seam_is_closed(textured, tmp_path, suffix):
    write_mesh(tmp_path / f"square{suffix}", textured)
    if suffix == ".3mf":
        vertices, _, colors, _ = read_3mf(tmp_path / "square.3mf")
        assert len(vertices) == 6
    else:
        back = trimesh.load(tmp_path / f"square{suffix}", process=suffix == ".stl")
        assert len(back.vertices) == 6
        colors = None if suffix != ".ply" else back.visual.vertex_colors
    if colors is not None:
        assert np.array_equal(colors[0, :3], texture_of(textured).picture[-1, 0])  # uv (0, 0): the lower left pixel


def test_obj_material_and_picture_are_one_unit(textured, tmp_path):
    path = tmp_path / "my square.obj"
    paths = write_mesh(path, textured)
    assert paths == mesh_files(path, textured=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "my square.obj",
        "my_square-texture.png",
        "my_square.mtl",
    ]
    with pytest.raises(InputError, match="exists already"):
        write_mesh(path, textured)
    (tmp_path / "my square.obj").unlink()
    with pytest.raises(InputError, match=r"exists already"):  # a sibling of another time
        write_mesh(path, textured)
    assert not path.exists()
    write_mesh(path, textured, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 3


def read_3mf(path):
    """Positions, triangles, colours of each vertex (the last one of its corners), unit."""
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("3D/3dmodel.model"))
    core, materials = (
        f"{{http://schemas.microsoft.com/3dmanufacturing/{name}/2015/02}}" for name in ("core", "material")
    )
    vertices = np.array([[float(one.get(axis)) for axis in "xyz"] for one in root.iter(f"{core}vertex")])
    faces = np.array([[int(one.get(f"v{i}")) for i in (1, 2, 3)] for one in root.iter(f"{core}triangle")])
    palette = [bytes.fromhex(one.get("color")[1:]) for one in root.iter(f"{materials}color")]
    if not palette:
        return vertices, faces, None, root.get("unit")
    colors = np.zeros((len(vertices), 4), np.uint8)
    for face, one in zip(faces, root.iter(f"{core}triangle"), strict=True):
        colors[face] = [list(palette[int(one.get(f"p{i}"))]) for i in (1, 2, 3)]
    return vertices, faces, colors, root.get("unit")


def test_3mf_holds_the_surface_and_its_colours(mesh, tmp_path):
    write_mesh(tmp_path / "egg.3mf", mesh)
    vertices, faces, colors, unit = read_3mf(tmp_path / "egg.3mf")
    assert vertices[faces] == pytest.approx(mesh.triangles, abs=1e-6)
    assert np.array_equal(colors[faces], mesh.visual.vertex_colors[mesh.faces])
    assert unit == "meter"
    write_mesh(tmp_path / "plain.3mf", trimesh.Trimesh(mesh.vertices, mesh.faces, process=False))
    assert read_3mf(tmp_path / "plain.3mf")[2] is None


def usd_numbers(stage, name):
    """The numbers of an attribute of a text stage."""
    (found,) = re.findall(rf"{name} = \[(.*?)\]", stage)
    return np.array([float(number) for number in re.findall(r"[-+.\de]+", found)])


@pytest.mark.parametrize("up", ["y", "z"])
def test_usdz_holds_the_surface_its_colours_and_the_axis(mesh, tmp_path, up):
    write_mesh(tmp_path / "egg.usdz", mesh, up=up)
    with zipfile.ZipFile(tmp_path / "egg.usdz") as archive:
        stage = archive.read("object.usda").decode()
    assert f'upAxis = "{up.upper()}"' in stage
    x, y, z = mesh.vertices.T
    wanted = np.stack([x, y, z] if up == "y" else [x, -z, y], axis=1)
    assert usd_numbers(stage, r"points").reshape(-1, 3) == pytest.approx(wanted, abs=1e-6)
    assert np.array_equal(usd_numbers(stage, "faceVertexIndices").reshape(-1, 3), mesh.faces)
    light = usd_numbers(stage, "primvars:displayColor").reshape(-1, 3)
    stored = np.c_[light * 65535, np.full(len(light), 65535)].round().astype(np.uint16)
    assert np.array_equal(linear_to_srgb(stored), mesh.visual.vertex_colors)


def test_usdz_files_begin_at_64_bytes_uncompressed(textured, tmp_path):
    write_mesh(tmp_path / "square.usdz", textured)
    data = (tmp_path / "square.usdz").read_bytes()
    with zipfile.ZipFile(tmp_path / "square.usdz") as archive:
        assert archive.namelist() == ["object.usda", "texture.png"]
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
            assert (entry.header_offset + 30 + name + extra) % 64 == 0
            assert entry.compress_type == zipfile.ZIP_STORED
        stage = archive.read("object.usda").decode()
        picture = np.array(Image.open(io.BytesIO(archive.read("texture.png"))))
    assert np.array_equal(picture, texture_of(textured).picture)
    assert usd_numbers(stage, "primvars:st").reshape(-1, 2) == pytest.approx(textured.visual.uv)


def test_usd_itself_reads_usdz(mesh, textured, tmp_path):
    usd = pytest.importorskip("pxr.Usd", reason="needs usd-core")
    from pxr import UsdGeom

    for name, one in (("egg", mesh), ("square", textured)):
        write_mesh(tmp_path / f"{name}.usdz", one)
        stage = usd.Stage.Open(str(tmp_path / f"{name}.usdz"))
        surface = UsdGeom.Mesh(stage.GetPrimAtPath("/Object/Surface"))
        assert np.array(surface.GetPointsAttr().Get()) == pytest.approx(one.vertices, abs=1e-6)


@pytest.mark.parametrize("suffix", [".usdz", ".3mf"])
def test_formats_that_can_only_be_written_say_so(mesh, tmp_path, suffix):
    write_mesh(tmp_path / f"egg{suffix}", mesh)
    with pytest.raises(InputError, match="can be written, not read"):
        read_mesh(tmp_path / f"egg{suffix}")


def model_of(path):
    return ElementTree.fromstring(zipfile.ZipFile(path).read("3D/3dmodel.model"))


def test_objects_have_the_name_they_are_given_or_the_files(mesh, textured, tmp_path):
    for given, found in (("mug 3", "mug 3"), (None, "egg")):
        for suffix in (".glb", ".3mf", ".obj", ".usdz"):
            write_mesh(tmp_path / f"egg{suffix}", mesh, name=given, overwrite=True)
        tree = gltf_tree(tmp_path / "egg.glb")
        assert tree["meshes"][0]["name"] == found
        assert found in [node.get("name") for node in tree["nodes"]]
        assert [one.attrib["name"] for one in model_of(tmp_path / "egg.3mf").iter() if "name" in one.attrib] == [found]
        assert f"o {found.replace(' ', '_')}\n" in (tmp_path / "egg.obj").read_text()
        assert f'displayName = "{found}"'.encode() in (tmp_path / "egg.usdz").read_bytes()
    write_mesh(tmp_path / "square.obj", textured)
    assert "\no square\n" in (tmp_path / "square.obj").read_text()


def test_empty_mesh_and_read_only_place_are_refused_in_one_line(mesh, tmp_path):
    with pytest.raises(InputError, match="no faces"):
        write_mesh(tmp_path / "none.glb", trimesh.Trimesh())
    (tmp_path / "file").write_text("")
    with pytest.raises(Gen3DError, match="is not a writable folder"):
        write_mesh(tmp_path / "file" / "egg.glb", mesh)
