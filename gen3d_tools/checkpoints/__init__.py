"""Checkpoints on disk: what kind a file is, what it must hold, and how it is read without running anything in it.

Finding one:

* `source`: `Source`: kind, place and config of a checkpoint, opened once.
* `bundled`, `hub`: models that come with the package; models from the Hugging Face hub.
* `pointers`: files that git-lfs keeps elsewhere, named as such.

Our own folders:

* `native`: `config.json` and `model.safetensors`, read and written.
* `results`, `weight_delta`: a tuned model as the difference from its base.
* `directions`: named directions in a model's latent space, in one file.
* `configs/`: JSON of strangers, and the range of every value in a config.

Published files:

* `official`: a whole training snapshot, opened safely.
* `pickles/`: the restricted reader of pickles and of the archives that hold them.
* `refusing`: whatever reading ends in, it is a refusal in one line.
"""
