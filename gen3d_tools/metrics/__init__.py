"""How good something is, as numbers; tests, commands and recipes score by the same code.

* `pictures`: distances between pictures: PSNR, SSIM.
* `agreement`: a mesh against its field, from the same cameras: silhouette, depth, colour.
* `frechet`: distance of two sets of pictures on the bundled encoder's features: FD-encoder.
* `flatness`: how flat a generator's objects are (3DGP's non-flatness score).
* `consistency`: whether views of an object agree in depth and colour.
* `depth`: depth maps against given ones, whatever their scale.
* `distribution/`: sets of pictures by their features: FID, KID, IS, precision and recall.
* `meshes/`: meshes against true ones: Chamfer distance, F-score, volume, silhouettes.

For comparisons with published numbers, to the letter:

* `script_grid`: the grid on which published scripts sample densities.
* `batches`: several samples in one call, where published rays influence each other.
"""
