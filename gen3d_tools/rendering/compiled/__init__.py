"""The fast ways for tri-plane fields on CPUs, by compiled kernels.

* `rays`: what rays see.
* `gradients`: what rays see, with gradients.
* `batches`: the same for the pictures of a batch in one call.
"""
