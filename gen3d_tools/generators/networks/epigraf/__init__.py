"""EpiGRAF's and 3DGP's own networks.

* `decoder`: plane features to colours and raw density.
* `sphere_network`: EpiGRAF's background outside the unit sphere.
* `camera_generator`: 3DGP's learned camera distribution.
* `depth_adaptor`: 3DGP's rendered depth as a depth estimator would have it.
"""
