"""The published files of each family, translated into its config, settings and tensors; nothing in them is run.

* `load`: which module reads which family.
* `settings_tables`: what all readers share: constants to drop, settings to demand, errors in one line.
* `eg3d`: EG3D's pickles.
* `epigraf_base`: what EpiGRAF's and 3DGP's pickles have in common.
* `epigraf`, `threedgp`: theirs.
* `triposr`: what a published TripoSR folder says, as config and settings.
* `volumegan`: what a published VolumeGAN snapshot says, as config and settings.
* `stylenerf`: what a published StyleNeRF pickle says, as config and settings.
* `stylenerf_facts`: every setting of a StyleNeRF pickle by its name, wherever it stands.
"""
