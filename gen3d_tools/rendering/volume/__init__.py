"""The volume rendering integral in torch, differentiable: the truth about rays (NeRF; EG3D, section 4).

* `reach`: how far rays are followed.
* `sampling`: where along a ray the field is asked: coarse, then fine.
* `compositing`: densities to blending weights.
* `tracing`: a coarse pass, a fine pass, blending.
* `outputs`: what rays saw, as types.
"""
