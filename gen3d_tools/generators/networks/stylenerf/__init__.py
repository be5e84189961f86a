"""StyleNeRF's own networks (Gu et al. 2022).

* `field`: the modulated perceptron (section 3.2).
* `enlarging`: how layers double their feature maps (section 3.3).
* `upsampler`: the image network behind the rays.
"""
