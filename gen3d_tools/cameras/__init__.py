"""Cameras as values: where they stand, how they are drawn at random, how they move, how files spell them.

From one camera to files full of them:

* `camera`: `Camera`, a frozen value: pose and lens, one or a batch.
* `conventions`: what holds before there is a tensor: axes, angles, checks of what a config says.
* `checks`: what may go into a camera; anything else is one clear line.
* `poses`: EpiGRAF's and 3DGP's angles.
* `distributions/`: cameras at random, and those that families were trained with.
* `paths`: ways to move: orbit, wiggle, front-circle, line, spiral.
* `trajectories`: the published scripts' ways, to the letter.
* `formats`, `colmap`: nerfstudio's files, EG3D's labels, COLMAP's text model, both ways.
* `lenses`: which lenses of other programs are pinholes, and their numbers.
"""
