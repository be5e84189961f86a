"""Volume rendering: a field and cameras in, pictures out (NeRF; EG3D, section 4).

* `rays`: a ray per pixel.
* `volume/`: the truth about rays: a coarse pass, a fine pass, blending; differentiable.
* `compiled/`: the fast ways for tri-plane fields on CPUs, with and without gradients.
* `backdrops`: what lies behind the field.
* `ray_rendering`: which of these engines serves whom.
* `renderer`: `render`, `render_frames`: pictures from any number of cameras.
* `strips`: a window of any shape, strip by strip, for who may stop on the way.
* `differentiable`: pictures with gradients at a fraction of the cost, for inversion.
* `shown`: pictures as bytes of a PNG, for notebooks.
"""
