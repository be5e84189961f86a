"""Cameras at random, and the cameras that families of models were trained with.

* `named`: distributions by name, as `config.json` has them.
* `priors`: the distributions that EpiGRAF and 3DGP train with.
* `eg3d`: EG3D's own cameras: its sampler, its lens, the views of its scripts.
* `stylenerf`: StyleNeRF's cameras: angles in the ranges of a configuration, as its scripts draw them.
* `streams`: random numbers for cameras: one seed, one camera.
"""
