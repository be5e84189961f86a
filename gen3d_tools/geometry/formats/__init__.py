"""Files of meshes, point clouds and density grids: whole or not at all, the same bytes every time.

* `placement`: size, place and upward axis in the file.
* `export`: `write_mesh`: which module writes which suffix (.ply, .stl and .off by trimesh).
* `gltf`: .glb and .gltf.
* `wavefront`: .obj, with .mtl and .png.
* `threemf`: .3mf for printing.
* `usdz`: .usdz for phones.
* `point_cloud`: `sample_points`, `write_points`: .ply, .xyz, .npz.
* `splats`: `surface_splats`, `write_splats`: Gaussians of a surface, in the .ply that splat viewers open.
* `density_grid`: `write_density`, `read_density`: .npz, .mrc, and back to a field.
* `lengths`: lengths with units, and what a file's numbers then mean.
"""
