"""From a field to the mesh somebody takes home.

* `mesh`: `extract_mesh`: all of it in one call.

The rooms behind it, in the order of the work:

* `extraction/`: the level, the lattice, the triangles, vertices moved onto the level set.
* `processing/`: what is kept, repaired, smoothed and decimated.
* `color/`: vertex colours and textures; meshes drawn in software.
* `formats/`: files.
"""
