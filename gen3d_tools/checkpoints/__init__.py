"""Checkpoints on disk: what kind a file is, what it must hold, and how it is read without running anything in it.

Finding one:

* `source`: `Source`: kind, place and config of a checkpoint, opened once.
* `bundled`, `hub`: models that come with the package; models from the Hugging Face hub.
* `pointers`: files that git-lfs keeps elsewhere, named as such.

Our own folders:

* `native`: `config.json` and `model.safetensors`, read and written.
* `results`, `weight_delta`: a tuned model as the difference from its base.
* `strict_json`, `schema`, `config_schema`: JSON of strangers, and the range of every value in a config.

Published pickles:

* `official`: a whole training snapshot, opened safely.
* `unpickling`: the walk over a pickle's stream; names stay names.
* `allowed_globals`, `records`: the names that have a meaning, and the inert values that stand for them.
* `tensor_storage`, `config_values`: tensors and settings out of those records.
* `refusing`: whatever reading ends in, it is a refusal in one line.
* `zip_directory`: where the entries of a ZIP archive lie, read from its directory alone, with limits on everything.
* `torch_archive`: files of `torch.save`: a ZIP archive of one pickle and the elements of every storage.
* `state_dicts`: snapshots of state dicts and constructor arguments (VolumeGAN's framework).
"""
