"""Adaptive discriminator augmentation: what the discriminator sees is transformed, more the more it memorises (ADA).

* `geometry`: flips, shifts, rotations and scales as one warp.
* `color`: brightness, contrast, hue, saturation as one matrix.
* `augment`: both, with a strength that follows the discriminator.
"""
