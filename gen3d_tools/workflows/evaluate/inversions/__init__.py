"""How well photos are rebuilt in 3D: `gen3d eval inversion`, and the same measures for scripts that have the truth.

* `truth`: what is known of a photo's object: its class, camera, other views, mesh; read from a folder.
* `judging`: one inversion against what is known.
* `tables`: the results of many photos, class by class.
* `run`: the command.
"""
