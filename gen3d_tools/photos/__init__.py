"""A photo prepared for a generator: separated from its background, framed, squared.

* `background`: what of it is object: transparency, a mask, rembg, or the colours along the border.
* `framing`: brought to the size of objects in the generator's own pictures.
* `photo`: the result: square, framed, on white.
"""
