"""Photos to 3D.

* `run`: photos, one object or one after the other, to folders of results.
* `familiarity`: strangers are told before the work.
* `photo_cameras`: what `--camera` may say.
"""
