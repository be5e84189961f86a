"""`gen3d mesh`: the surfaces of samples, as mesh files.

* `options`: what is asked for: surface, files, names.
* `run`: the command.
* `batch`: many samples; a failure of one does not stop the others.
* `sample`: one sample, from its field to its files.
* `preview`: proof pictures: mesh and field from the same cameras.
"""
