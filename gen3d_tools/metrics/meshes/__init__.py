"""How well meshes agree, and in what state a set of them is.

* `surfaces`: distances of two surfaces by points on them: Chamfer distance, F-score, agreement of normals.
* `solids`: what they enclose and what they look like: volumetric IoU, silhouettes.
"""
