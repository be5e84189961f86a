"""The restricted reader of published pickles: inert records and tensors come out, nothing of a file is run.

* `unpickling`: the walk over a pickle's stream; names stay names.
* `allowed_globals`, `records`: the names that have a meaning, and the inert values that stand for them.
* `tensor_storage`, `config_values`: tensors and settings out of those records.
* `zip_directory`: where the entries of a ZIP archive lie, read from its directory alone, with limits on everything.
* `torch_archive`: files of `torch.save`: a ZIP archive of one pickle and the elements of every storage.
* `legacy_file`: its files before PyTorch 1.6, with a table of tensors.
* `state_dicts`: snapshots of state dicts and constructor arguments (VolumeGAN's framework).
"""
