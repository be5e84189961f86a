"""What each family minimises: phases, each of which gives a loss for one network.

* `base`: phases, real pictures, labels, and what all share.
* `patchwise`: EpiGRAF and 3DGP.
* `dual`: EG3D.
* `multiview`: the geometry-aware generator.
"""
