"""Radiance fields as values: points in, colour and density out. Renderer and mesher know nothing else of a scene.

* `field`: `RadianceField`, and `FunctionField`, which makes one of any function.
* `triplane`: `TriplaneField`: three planes, looked up, combined and decoded (EG3D, section 3.2).
* `density`: raw network output to density per world unit.
* `choices`: what differs between families, as named choices.
* `backdrop`: what lies behind a field: a picture, or a second scene around it.
* `super_resolution`: what enlarges a field's rendered features, as a value the field carries.
* `render_config`: `RenderConfig`: how a field becomes an image.
* `compiled`: a tri-plane field laid out once for the compiled kernels.
* `sampled`: a field of another kind, laid out as a lattice of its own densities.
* `volume`: the field of a feature volume (VolumeGAN, section 3.1).
* `mlp`: a field that is one multilayer perceptron (NeRF, section 4).
"""
