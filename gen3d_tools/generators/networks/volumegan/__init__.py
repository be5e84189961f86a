"""VolumeGAN's own networks.

* `scaled_layers`: layers whose learning-rate settings are all configurable.
* `feature_volume`: the 3-D network, and the network that reads its volume at points.
* `neural_renderer`: the 2-D network behind the rays (section 3.2).
"""
