"""Rays through a field.

* `occupancy`: where there can be density: a lattice of skip distances.
* `ray_marching`: the way of one ray through it.
* `absorption`: densities along a ray to what each sample stops of the light, and gradients back.
* `guided`: pictures, by default: the lattice says where the light stops, the network what is seen there.
* `planned`: the same for fields that no kernel evaluates.
* `published_sampling`: pictures with the samples of the published scheme.
* `silhouette`: how much light is stopped, and nothing else.

With gradients:

* `placement`: where samples lie.
* `trainable_network`: a network whose numbers change at every step, forward and backward.
* `differentiable`: rays through given samples: what they see, and its gradients.
* `batches`: the same for the pictures of a batch, whose fields share a decoder, in one call.
"""
