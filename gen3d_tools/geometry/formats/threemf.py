"""3MF for printing: one object with a colour at each corner (3MF core 1.3, materials extension 1.2).

trimesh writes no colours there and asks for lxml. Slicers print what is closed, so corners at the same position become
one vertex, whatever a texture's seams made of them.
"""

from xml.sax.saxutils import quoteattr

import numpy as np
import trimesh

from gen3d_tools.geometry.color.vertex_colors import colors_of
from gen3d_tools.geometry.formats.usdz import pack
from gen3d_tools.geometry.processing.cleanup import weld
from gen3d_tools.printable import printable

_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>
"""
_RELATIONS = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">\
<Relationship Id="rel0" Target="/3D/3dmodel.model" \
Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>
"""
_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MATERIALS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_UNITS = {"mm": "millimeter", "cm": "centimeter", "m": "meter", "in": "inch", "ft": "foot"}


def encode_3mf(mesh: trimesh.Trimesh, unit: str, name: str) -> bytes:
    """Write a mesh with the colours of its vertices. The format has no normals.

    Args:
        mesh: What to write.
        unit: Of its coordinates: "mm", "cm", "m", "in" or "ft".
        name: Of the object.
    """
    model = _model(mesh, unit, name).encode()
    files = {"[Content_Types].xml": _TYPES.encode(), "_rels/.rels": _RELATIONS.encode(), "3D/3dmodel.model": model}
    return pack(files, compress=True)


def _model(mesh: trimesh.Trimesh, unit: str, name: str) -> str:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    welded, _ = weld(vertices, faces)
    solid = ~(welded == np.roll(welded, 1, axis=1)).any(axis=1)
    used, corners = np.unique(welded[solid], return_inverse=True)
    points = "".join(f'<vertex x="{x:.8g}" y="{y:.8g}" z="{z:.8g}"/>' for x, y, z in vertices[used].tolist())
    colors, painted = _colors(mesh, faces[solid])
    triangles = "".join(
        f'<triangle v1="{a}" v2="{b}" v3="{c}"{paint}/>'
        for (a, b, c), paint in zip(corners.reshape(-1, 3).tolist(), painted, strict=True)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<model unit="{_UNITS[unit]}" xml:lang="en-US" xmlns="{_CORE}" xmlns:m="{_MATERIALS}"><resources>{colors}'
        f'<object id="1" name={quoteattr(printable(name))} type="model"><mesh><vertices>{points}</vertices>'
        f'<triangles>{triangles}</triangles></mesh></object></resources><build><item objectid="1"/></build></model>\n'
    )


def _colors(mesh: trimesh.Trimesh, faces: np.ndarray) -> tuple[str, list[str]]:
    """The list of different colours, and each triangle's references to it; empty for a mesh without colours."""
    colors = colors_of(mesh)
    if colors is None:
        return "", [""] * len(faces)
    different, number = np.unique(colors, axis=0, return_inverse=True)
    rows = "".join(f'<m:color color="#{bytes(row).hex().upper()}"/>' for row in different)
    group = f'<m:colorgroup id="2">{rows}</m:colorgroup>'
    references = number.reshape(-1)[faces].tolist()
    return group, [f' pid="2" p1="{a}" p2="{b}" p3="{c}"' for a, b, c in references]
