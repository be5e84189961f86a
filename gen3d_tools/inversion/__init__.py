"""One photo to 3D: the photo is prepared, a latent is found for it, and the generator is tuned around that latent."""
