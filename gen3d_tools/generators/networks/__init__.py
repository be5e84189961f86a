"""Networks in plain torch, parameters named as published, so that converted weights are the same numbers.

* `layers`: equalised linear layers and modulated convolutions (StyleGAN2).
* `modulated`: a modulated convolution as one step of autograd, for training and inversion.
* `precision`: where bfloat16 is faster, asked in one place.
* `stylegan2`: mapping network and skip synthesis network, made of them.
* `fourier`: Fourier features of coordinates.
* `decoder`, `epigraf_decoder`: plane features to colours and raw density: EG3D's way, and EpiGRAF's and 3DGP's.
* `superresolution`: rendered features to the final picture (EG3D).
* `sphere_network`: EpiGRAF's background outside the unit sphere.
* `camera_generator`: 3DGP's learned camera distribution.
* `depth_adaptor`: 3DGP's rendered depth as a depth estimator would have it.
* `scaled_layers`: layers whose learning-rate settings are all configurable (VolumeGAN).
* `feature_volume`: VolumeGAN's 3-D network, and the network that reads it at points.
* `neural_renderer`: VolumeGAN's 2-D network behind the rays (section 3.2).
* `stylenerf_field`: StyleNeRF's modulated perceptron (Gu et al. 2022, section 3.2).
* `stylenerf_enlarging`: how StyleNeRF's layers double their feature maps (section 3.3).
* `stylenerf_upsampler`: StyleNeRF's image network behind the rays.
"""
