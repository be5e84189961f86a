"""What an inversion found, and how it is kept.

* `result`: `InversionResult`: latent, camera, tuned generator, score.
* `score`: how well the photo is explained, and how unlike the model's own pictures it is.
* `overview`: the picture that tells the story.
* `storage`: the result as a folder that loads as a model.
* `unfinished`: the state of an interrupted run, for `--resume`.
"""
