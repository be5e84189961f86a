"""The fast ways for tri-plane fields on CPUs, by compiled kernels.

* `rays`: what rays see.
* `gradients`: what rays see, with gradients.
"""
