"""A photo prepared for a generator: separated from its background, framed, squared.

* `background`: what of it is object: transparency, a mask, rembg, or the colours along the border.
* `mask_confidence`: how far a mask guessed from colours can be believed.
* `several`: several objects in one photo, and one of them alone.
* `salient_network`: a network of the person's that finds a mask.
* `framing`: brought to the size of objects in the generator's own pictures.
* `alignment/`: faces cut out as published generators expect them, with their cameras.
* `photo`: the result: square, framed, on white.
"""
