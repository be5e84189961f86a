"""Cameras as values: where they stand, how they are drawn at random, how they move, how files spell them.

From one camera to files full of them:

* `camera`: `Camera`, a frozen value: pose and lens, one or a batch.
* `conventions`: what holds before there is a tensor: axes, angles, checks of what a config says.
* `checks`: what may go into a camera; anything else is one clear line.
* `distributions`: cameras at random, by name, for `config.json`.
* `eg3d`: EG3D's own cameras: its sampler, its lens, the views of its scripts.
* `poses`, `priors`: EpiGRAF's and 3DGP's angles, and the distributions they train with.
* `streams`: random numbers for cameras: one seed, one camera.
* `paths`: ways to move: orbit, wiggle, front-circle, line, spiral.
* `trajectories`: the published scripts' ways, to the letter.
* `formats`, `colmap`: nerfstudio's files, EG3D's labels, COLMAP's text model, both ways.
* `lenses`: which lenses of other programs are pinholes.
* `stylenerf`: StyleNeRF's cameras: angles in the ranges of a configuration, as its scripts draw them.
"""
