"""The generators in training: planes of a batch at once, random noise, only the rays that are needed.

* `fakes`: what is asked for, and what comes back.
* `rendering`: pixels of several fields, with gradients.
* `planes`: EpiGRAF and 3DGP.
* `starting`: what their adaptors do before they have learned: nothing.
* `dual`: EG3D.
* `views`: the geometry-aware generator.
"""
