"""Editing by directions in latent space: found, named, kept in a file, applied to the latents of any sample.

* `directions`: `Direction` and `Directions`: moved along, saved, loaded, told from those of another model.
* `finding`: factorised style layers, principal directions of w, what separates two groups of seeds.
* `spread`: how far w reaches along a direction, which is the unit of amounts.
"""
