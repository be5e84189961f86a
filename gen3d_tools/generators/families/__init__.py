"""One generator per paper, each made of `networks/` and a config; nobody else asks for a family by name.

* `geometry_aware`: Shen & Wang: classes in, no camera in the mapping; the bundled model.
* `eg3d`: EG3D: a camera in the mapping, super-resolution behind the rays.
* `epigraf_base`: what EpiGRAF and 3DGP share.
* `epigraf`: EpiGRAF: trained on patches, with an optional background.
* `threedgp`: 3DGP: a learned camera distribution and a depth adaptor.
* `triplane`: what all families of tri-planes share: latents to planes, planes to fields.
* `volumegan`: VolumeGAN: a feature volume, and a 2-D network that makes the picture.
* `volumegan_seeds`: the latents that VolumeGAN's published script draws for a seed.
* `stylenerf`: StyleNeRF: a styled radiance field, enlarged by an image network.
* `stylenerf_networks`: the networks that a StyleNeRF config describes.
"""
