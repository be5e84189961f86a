"""Photos to 3D.

* `run`: photos of an object to the folder of a result.
* `each`: many photos, each of an object of its own, spread over processes.
* `checks`: what a model does not allow, whichever photo it is asked about.
* `faces`: faces cut out of photos, and the cameras to start from.
* `familiarity`: strangers are told before the work.
* `photo_cameras`: what `--camera` may say.
"""
