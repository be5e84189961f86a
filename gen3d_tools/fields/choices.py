"""Named choices in which the fields of model families differ, as configs spell them."""

from typing import Literal

DensityActivation = Literal["softplus", "relu", "exp"]
PlaneAxes = Literal["xy-xz-zx", "xy-xz-yz", "xy-xz-zy"]
HiddenActivation = Literal["lrelu", "relu", "linear"]
