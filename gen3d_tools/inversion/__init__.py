"""Photos of an object to 3D: a latent is found, then the generator is tuned around it (Roich et al. 2021).

* `api`: `invert`: a photo's path in, a result out.
* `refine`: stage two on the planes of an object that a network made in one pass.
* `settings`: `InversionSettings`: every choice as a named value.
* `presets`: three sets of them that work.
* `stages/`: search, stage one, stage two, and what they minimise.
* `pti`: the stages in their order.
* `threads`: small networks compute the same bytes on any number of threads.
* `adam`: what moves latents, cameras and weights.
* `finite`: gradients that are no numbers end it before they move anything.
* `progress`: what is said on the way.
* `results/`: what was found, scored, drawn and stored.
"""
