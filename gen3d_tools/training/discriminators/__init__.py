"""Who judges: four discriminators on one body.

* `filtering`: the low-pass filter, whose way back is a filter.
* `layers`: convolutions and the mapping of labels.
* `body`: residual blocks and the epilogue that all have.
* `patch`: EpiGRAF's and 3DGP's, of patches.
* `dual`: EG3D's, of a picture and its rendering; and the plain one.
* `multiview`: several views of an object before the plain one (Shen & Wang).
"""
