"""Convolutions by 3 x 3 kernels with a quarter of the products.

* `transforms`: Winograd's transforms of tiles, their slopes and weights.
* `winograd`: convolutions and the gradients of their kernels, made of them.
"""
