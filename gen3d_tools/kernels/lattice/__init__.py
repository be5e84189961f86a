"""The surface of a tri-plane field, from its numbers to triangles.

* `tables`: what a regular lattice needs of the planes: tables instead of look-ups.
* `bounds`: tiles that provably hold no surface.
* `evaluate`: the raw density on all others.
* `marching_cubes`: triangles over them, vertices shared.
* `sampled`: parts that can hold surface, by looking at points, for networks too deep for bounds.
* `surface`: all of it, slab after slab.
"""
