"""The work of an inversion, in its order, and what it is made of.

* `search`: class and camera, when nobody named them.
* `mirror`: what a mirrored photo tells of things that are their own mirror image.
* `revolution`: what a round thing shows from all sides, and which of both holds for a photo.
* `stage_one`: the latent and the camera that come closest to the photo.
* `stage_two`: the generator's weights, tuned around the fixed latent.
* `objective`: distance of a field's picture from a photo: pixels, structure, silhouette, features.
* `camera_fit`: cameras that may move a little.
* `latent_prior`: what latents of a class look like, and coordinates to optimise them in.
* `noise`: the planes' constant noise as something to optimise.
* `tuned_layers`: which of the weights stage two may move.
* `locality_regulariser`: what keeps stage two from changing more than the photo asks for.
* `missing_parts`: what lets an object grow to where the photo shows it.
* `recoloring`: what the far side is painted with, where the pivot has other colours than the photo.
"""
