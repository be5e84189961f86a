"""Pictures and films on disk, and pages that show them.

* `opening`: picture files of strangers, opened with care.
* `photos`: photos as cameras and phones write them: upright, 8 bits, with their transparency.
* `images`: `write_image`: tensors to picture files and back; depth and normals as colours.
* `video`: `VideoWriter`: frame by frame, memory does not grow.
* `sheets`: labelled contact sheets, bare grids.
* `page`, `mesh_payload`: one HTML file that shows results (template: `page.html`); its meshes in few bytes.
* `reading`: videos read back frame by frame, with imageio.
"""
