"""Generators: seeds and classes to latents, latents to fields.

What every generator is:

* `base`: `Generator`: map, fields, cameras, save; the same for every family.
* `latents`: seeds and classes as typed, z of a seed, keyframes of a film.
* `configs`, `reconstructor_configs`, `network_config`: the `network` section of `config.json`, strictly read.
* `settings`: how it wants to be used: everything else in `config.json`.

Where one comes from:

* `loading`: `load_generator`: whatever people type becomes a generator.
* `source`: what they typed, found on disk and described without torch.
* `tuned`, `pivot`: a generator tuned to a photo, and the one object it is about.

The rooms inside, from layers to files:

* `networks/`: layers and networks.
* `families/`: one generator per paper, made of them.
* `reconstructors/`: networks from a photo straight to a field, without latents.
* `official/`: the papers' published files, translated.
* `catalogue`: the families for people: paper, published weights, licence, what works.
* `synonyms`: words that people type for a class that is called otherwise.
"""
