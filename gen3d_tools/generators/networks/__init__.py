"""Networks in plain torch, parameters named as published, so that converted weights are the same numbers.

* `layers`: equalised linear layers and modulated convolutions (StyleGAN2).
* `convolution`: their convolutions, by tiles or by torch, and the way back.
* `modulated`: a modulated convolution as one step of autograd, for training and inversion.
* `precision`: where bfloat16 is faster, asked in one place.
* `stylegan2`: mapping network and skip synthesis network, made of them.
* `fourier`: Fourier features of coordinates.
* `decoder`: plane features to colours and raw density (EG3D).
* `superresolution`: rendered features to the final picture (EG3D).
* `epigraf/`: EpiGRAF's and 3DGP's: decoder, background, learned cameras, depth.
* `volumegan/`: VolumeGAN's: feature volume, the network that reads it, neural renderer.
* `stylenerf/`: StyleNeRF's: modulated perceptron, enlarging layers, image network.
"""
