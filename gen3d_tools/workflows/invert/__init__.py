"""Photos to 3D.

* `run`: photos, one object or one after the other, to folders of results.
* `faces`: faces cut out of photos, and the cameras to start from.
* `familiarity`: strangers are told before the work.
* `photo_cameras`: what `--camera` may say.
"""
