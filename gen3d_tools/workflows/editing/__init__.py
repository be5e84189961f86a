"""`gen3d directions` and `gen3d edit`: ways through latent space, and objects that went one.

* `known`: the directions that a model has at hand: beside it, in files that are named, found on the spot.
* `listing`: the same as names, without torch.
* `directions`: new ones are found, and kept, with a sheet that shows what each does.
* `edit`: samples moved along directions, as folders that every command takes for a model.
"""
