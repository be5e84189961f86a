"""Triangles: fewer of them, and which one a pixel sees.

* `quadrics`: quadric errors over position and colour.
* `collapse`: edge collapse by those errors.
* `raster`: the triangle that every pixel sees (in plain form: `kernels/raster`).
"""
