"""`gen3d video`: films of samples.

* `layout`: which samples go into which film: one each, a grid, or keyframes.
* `camera_path`: how the camera moves, and for how long.
* `frames`: the frames, one at a time.
* `run`: the command: frames stream to the encoder.
"""
