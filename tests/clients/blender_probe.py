"""Runs inside Blender: import a mesh as a user does with File > Import, say what arrived, and render it.

blender --background --factory-startup --python-exit-code 1 --python blender_probe.py -- MESH REPORT.json PICTURE.png
"""

import json
import math
import sys
from pathlib import Path

import bpy
import mathutils
import numpy

if not hasattr(numpy, "bool"):  # Debian 12 ships a glTF importer (Blender 3.4) that is older than its numpy (1.24)
    numpy.bool = bool

IMPORTERS = {  # Blender's newer importers first, those of older versions second
    ".glb": ["import_scene.gltf"],
    ".gltf": ["import_scene.gltf"],
    ".obj": ["wm.obj_import", "import_scene.obj"],
    ".ply": ["wm.ply_import", "import_mesh.ply"],
    ".stl": ["wm.stl_import", "import_mesh.stl"],
}


def operator(name):
    group, function = name.split(".")
    return getattr(getattr(bpy.ops, group), function)


def known(name):
    try:
        operator(name).get_rna_type()
    except (AttributeError, KeyError):
        return False
    return True


def load(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    name = next(name for name in IMPORTERS[path.suffix] if known(name))
    operator(name)(filepath=str(path))
    [found] = [one for one in bpy.context.scene.objects if one.type == "MESH"]
    return found


def corners(found):
    return [found.matrix_world @ vertex.co for vertex in found.data.vertices]


def vertex_colors(found):
    """Place and linear colour of up to 500 vertices."""
    mesh = found.data
    if not mesh.color_attributes:
        return []
    attribute = mesh.color_attributes[0]
    places = corners(found)
    if attribute.domain == "POINT":
        pairs = [(places[i], attribute.data[i].color) for i in range(len(places))]
    else:
        pairs = [(places[loop.vertex_index], attribute.data[loop.index].color) for loop in mesh.loops]
    step = max(1, len(pairs) // 500)
    return [[list(place), list(color)[:3]] for place, color in pairs[::step]]


def textures(found):
    """Size and mean colour of the images that the materials use."""
    images = []
    for material in found.data.materials:
        if material is None or not material.use_nodes:
            continue
        for node in material.node_tree.nodes:
            if node.type == "TEX_IMAGE" and node.image is not None and node.outputs["Color"].is_linked:
                images.append({"size": list(node.image.size), "pixels": len(node.image.pixels)})
    return images


def show_vertex_colors(found):
    """What a user does in the shading tab when a format brings colours but no material."""
    material = bpy.data.materials.new("colours")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeVertexColor")
    node.layer_name = found.data.color_attributes[0].name
    shader = material.node_tree.nodes["Principled BSDF"]
    material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    found.data.materials.clear()
    found.data.materials.append(material)


def render(found, picture):
    scene = bpy.context.scene
    places = corners(found)
    middle = sum(places, mathutils.Vector()) / len(places)
    reach = max((place - middle).length for place in places)
    towards = mathutils.Vector((math.sin(0.6), -math.cos(0.6), 0.45)).normalized()  # from the front left, above
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.angle = math.radians(40)
    camera.location = middle + towards * reach * 3
    camera.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("white")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.max_bounces, scene.cycles.use_denoising = 8, 1, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = 160
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)


def main():
    source, report, picture = (Path(text) for text in sys.argv[sys.argv.index("--") + 1 :])
    found = load(source)
    places = corners(found)
    answer = {
        "blender": bpy.app.version_string,
        "faces": len(found.data.polygons),
        "bounds": [[f(place[axis] for place in places) for axis in range(3)] for f in (min, max)],
        "colors": vertex_colors(found),
        "textures": textures(found),
        "materials": [material.name for material in found.data.materials if material is not None],
    }
    if answer["colors"] and not any(found.data.materials):
        show_vertex_colors(found)
    render(found, picture)
    report.write_text(json.dumps(answer))


main()
