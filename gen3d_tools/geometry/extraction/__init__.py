"""The surface of a field, as triangles in world units.

* `level`: `choose_level`: the density whose silhouette agrees best with the rendered one.
* `lattice`: a regular lattice over the box, evaluated in pieces that fit into memory.
* `isosurface`: marching cubes on it, for any function of space.
* `triplane_surface`: the same for tri-plane fields, by compiled kernels that skip empty space.
* `projection`: vertices moved onto the level set, normals from the gradient.
* `sparse_lattice`: a lattice of which only the part near the surface is evaluated.
* `fusion`: a surface fused from rendered depth by truncated signed distances (open3d).
"""
