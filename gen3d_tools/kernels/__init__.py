"""The hot loops on plain arrays, compiled for CPUs by numba. They know no field and no network class.

* `compiling/`: how kernels are compiled, kept on disk and run on threads.
* `network/`: a tri-plane network as plain numbers, evaluated at points.
* `convolution/`: convolutions of the networks, in Winograd's tiles.
* `meshes/`: triangles: edge collapse, and which one a pixel sees.
* `lattice/`: a tri-plane field on a regular lattice, and marching cubes.
* `rays/`: rays through a tri-plane field.
* `raster`: which triangle a pixel sees, in plain form: the reference of `meshes/raster`.
* `compile_ahead`: a program that compiles what rays need, in a process beside.
"""
