"""How good a model, meshes or inversions are: `gen3d eval`.

* `run`: a model or a set of pictures: which measures are made of it.
* `distribution/`: its pictures against real ones, by the features of a network.
* `geometry`, `depth_maps`: flatness and consistency of views of a model; depth maps of two sets.
* `meshes`: the state of a set of meshes, and how well they agree with true ones.
* `inversions/`: photos rebuilt, and compared with what is known of them.
* `measures`, `report`, `page`: named numbers; where they go; the page with plots.
"""
