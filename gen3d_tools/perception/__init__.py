"""What a picture looks like to a network: what it shows, from where, and how different it is from another.

* `encoder`: the small network that looks at a photo first.
* `prediction`: what it answers: class, direction, latent, framing.
* `out_of_distribution`: how far a picture is from what the encoder was trained on.
* `faces/`: faces and their five points, by a detector that the person has.
* `perceptual`: perceptual distances between pictures.
* `feature_networks`: whose features sets of pictures are compared by: Inception's of a file, or the encoder's.
"""
