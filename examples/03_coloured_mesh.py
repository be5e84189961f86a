"""From a sample to a mesh that other programs open.

The mesher asks the field for its density on a regular lattice, finds the surface where the density crosses the level
that the model suggests, drops detached crumbs, and asks the field for a colour at every vertex. The mesh is a
`trimesh.Trimesh` in world units, y up, normals outward. Written as .glb it keeps its colours in Blender, Windows' 3D
viewer or a browser; .ply and .obj keep them too, .stl knows none, and no unit: slicers read its numbers as millimetres.

Run it with `python examples/03_coloured_mesh.py`; the meshes appear in gen3d-out/examples.
"""

from pathlib import Path

import gen3d_tools as g3

OUT = Path("gen3d-out/examples")


def main(
    model: str = "shapes",
    class_name: str = "chair",
    seed: int = 1,
    resolution: int = 128,
    iso_level: float | None = None,
    out: Path = OUT,
) -> list[Path]:
    """Mesh one sample and write it for viewers (.glb) and for printers (.stl, z up)."""
    generator = g3.load_generator(model)
    (field,) = generator.fields(generator.latents(seeds=[seed], classes=[class_name], truncation_psi=0.7))
    mesh = g3.extract_mesh(field, resolution=resolution, iso_level=iso_level)
    print(g3.mesh_health(mesh))

    files = [out / f"03_{class_name}.glb", out / f"03_{class_name}.stl"]
    g3.write_mesh(files[0], mesh, overwrite=True)
    g3.write_mesh(files[1], mesh, up="z", scale="80mm", ground=True, overwrite=True)
    print(*files, sep="\n")
    return files


if __name__ == "__main__":
    main()
