"""Rays through a tri-plane field.

* `occupancy`: where there can be density: a lattice of skip distances.
* `ray_marching`: the way of one ray through it.
* `guided`: pictures, by default: the lattice says where the light stops, the network what is seen there.
* `published_sampling`: pictures with the samples of the published scheme.
* `silhouette`: how much light is stopped, and nothing else.
"""
