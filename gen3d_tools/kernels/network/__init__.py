"""A tri-plane network as plain numbers, evaluated at points.

* `numbers`: planes and decoder as arrays, with all multiplied out that can be.
* `products`: products of small matrices within kernels.
* `rows`: weighted sums of rows, and the way back to them, within kernels.
* `points`: raw density at scattered points.
* `evaluate`: one point, for loops that go from point to point.
"""
