"""USDZ for phones: a stage as text and its texture, stored uncompressed in a zip file, each beginning at 64 bytes.

The Universal Scene Description library is 30 MB and more; one mesh with one material takes a page of its text format.
"""

import io
import json
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
import trimesh

from gen3d_tools.geometry.color.vertex_colors import Texture, colors_of, srgb_to_linear, texture_of
from gen3d_tools.geometry.formats.wavefront import encode_png
from gen3d_tools.printable import printable

_LOCAL_HEADER = 30  # bytes before a file's name and extra field in a zip archive
_STAGE = """#usda 1.0
(
    defaultPrim = "Object"
    metersPerUnit = 1
    upAxis = "{up}"
)

def Xform "Object" (
    displayName = {name}
    kind = "component"
)
{{
    def Mesh "Surface" (
        prepend apiSchemas = ["MaterialBindingAPI"]
    )
    {{
        uniform token subdivisionScheme = "none"
        float3[] extent = [{extent}]
        int[] faceVertexCounts = [{counts}]
        int[] faceVertexIndices = [{indices}]
        point3f[] points = [{points}]
        normal3f[] normals = [{normals}] (
            interpolation = "vertex"
        )
{colors}        rel material:binding = </Object/Material>
    }}

    def Material "Material"
    {{
        token outputs:surface.connect = </Object/Material/Shader.outputs:surface>

        def Shader "Shader"
        {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor{diffuse}
            float inputs:metallic = 0
            float inputs:roughness = 0.9
            token outputs:surface
        }}
{nodes}    }}
}}
"""
_PRIMVAR = """        {kind}[] primvars:{name} = [{values}] (
            interpolation = "vertex"
        )
"""
_READER = """
        def Shader "{name}"
        {{
            uniform token info:id = "UsdPrimvarReader_{kind}"
            string inputs:varname = "{primvar}"
            {kind} outputs:result
        }}
"""
_TEXTURE = """
        def Shader "Texture"
        {
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @texture.png@
            float2 inputs:st.connect = </Object/Material/Places.outputs:result>
            token inputs:sourceColorSpace = "sRGB"
            token inputs:wrapS = "clamp"
            token inputs:wrapT = "clamp"
            float3 outputs:rgb
        }
"""


def encode_usdz(mesh: trimesh.Trimesh, up: str, name: str) -> bytes:
    """Write a mesh with normals and its texture or vertex colours, in metres.

    Args:
        mesh: What to write.
        up: Which axis of it points upwards, "y" or "z"; the stage says so.
        name: Of the object, which programs show.
    """
    texture = texture_of(mesh)
    colors, diffuse, nodes = _plain()
    if texture is not None:
        colors, diffuse, nodes = _textured(texture)
    elif (pixels := colors_of(mesh)) is not None:
        colors, diffuse, nodes = _colored(pixels)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    stage = _STAGE.format(
        up=up.upper(),
        name=json.dumps(printable(name), ensure_ascii=False),
        extent=_tuples(np.stack([vertices.min(axis=0), vertices.max(axis=0)]), 8),
        counts=", ".join(["3"] * len(faces)),
        indices=", ".join(map(str, faces.reshape(-1).tolist())),
        points=_tuples(vertices, 8),
        normals=_tuples(np.asarray(mesh.vertex_normals), 5),
        colors=colors,
        diffuse=diffuse,
        nodes=nodes,
    )
    files = {"object.usda": stage.encode()} | ({} if texture is None else {"texture.png": encode_png(texture.picture)})
    return pack(files, compress=False, align=64)


def _tuples(rows: np.ndarray, digits: int) -> str:
    return ", ".join("(" + ", ".join(f"{number:.{digits}g}" for number in row) + ")" for row in rows.tolist())


def _plain() -> tuple[str, str, str]:
    """A mesh without colours is grey."""
    return "", " = (0.5, 0.5, 0.5)", ""


def _textured(texture: Texture) -> tuple[str, str, str]:
    """Places in the texture, what the surface's colour is connected to, and the nodes that look it up."""
    places = _PRIMVAR.format(kind="texCoord2f", name="st", values=_tuples(texture.uv, 7))
    reader = _READER.format(name="Places", kind="float2", primvar="st")
    return places, ".connect = </Object/Material/Texture.outputs:rgb>", _TEXTURE + reader


def _colored(pixels: np.ndarray) -> tuple[str, str, str]:
    """Colours of the vertices, which are linear in USD, and the node that reads them."""
    linear = srgb_to_linear(pixels)[:, :3] / 65535
    colors = _PRIMVAR.format(kind="color3f", name="displayColor", values=_tuples(linear, 5))
    reader = _READER.format(name="Colors", kind="float3", primvar="displayColor")
    return colors, ".connect = </Object/Material/Colors.outputs:result>", reader


def pack(files: Mapping[str, bytes], *, compress: bool, align: int = 1) -> bytes:
    """Put files into a zip archive, in their order.

    Args:
        files: Names and contents.
        compress: Deflate them, or store them as they are.
        align: Contents begin at multiples of this; only for stored files.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # 1 January 1980, whenever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            begin = buffer.tell() + _LOCAL_HEADER + len(name.encode())
            if begin % align:
                padding = -(begin + 4) % align  # an extra field is 4 bytes and what they announce
                entry.extra = struct.pack("<HH", 0x1986, padding) + b"\0" * padding
            archive.writestr(entry, content)
    return buffer.getvalue()
