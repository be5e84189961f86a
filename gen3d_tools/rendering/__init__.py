"""Volume rendering: a field and cameras in, pictures out (NeRF; EG3D, section 4).

* `rays`: a ray per pixel.
* `reach`: how far rays are followed.
* `sampling`: where along a ray the field is asked: coarse, then fine.
* `compositing`: densities to blending weights.
* `tracing`: the truth about rays: a coarse pass, a fine pass, blending; differentiable.
* `compiled_rays`: the fast way for tri-plane fields on CPUs.
* `backdrops`: what lies behind the field.
* `ray_rendering`: which of these engines serves whom.
* `outputs`: what rays saw, as types.
* `renderer`: `render`, `render_frames`: pictures from any number of cameras.
* `strips`: a window of any shape, strip by strip, for who may stop on the way.
* `compiled_gradients`: the fast way with gradients, for tri-plane fields on CPUs.
* `differentiable`: pictures with gradients at a fraction of the cost, for inversion.
* `shown`: pictures as bytes of a PNG, for notebooks.
"""
