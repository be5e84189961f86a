"""Photos to 3D.

* `run`: photos, one object or one after the other, to folders of results.
* `photo_cameras`: what `--camera` may say.
"""
