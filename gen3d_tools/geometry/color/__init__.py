"""The colours of a surface: at vertices, or in a texture; and pictures of meshes.

* `view_colors`: a surface's colour, as the field says or as cameras see it.
* `vertex_colors`: colours at vertices: in light, in sRGB, looked up in a texture.
* `unwrap`: a mesh cut open and laid flat: a place for each triangle in a square.
* `texels`: which point of the surface each texel shows.
* `texture`: `bake_texture`: every texel asks for the colour of its point.
* `rasterize`: `render_mesh`: meshes drawn in software, from the cameras of the field's pictures.
* `shown`: a mesh that shows itself: as a line where it is printed, as a picture in notebooks.
"""
