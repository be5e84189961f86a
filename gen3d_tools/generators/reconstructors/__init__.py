"""Networks from a photo straight to a field: no latent, no seeds, one forward pass.

* `picture`: a photo with its mask to the picture that the network was trained with.
* `image_tokens`: the picture to tokens (ViT, DINO).
* `triplane_tokens`: image tokens to tri-planes: transformer and upsampler (TripoSR).
* `plane_decoder`: planes and decoder to a `TriplaneField`.
* `base`: what a model without latents answers to whoever asks for a seed.
* `reconstruction`: one object: its planes and the decoder, a model of its own.
* `triposr`: TripoSR: a photo to such an object.
"""
