"""Named choices in which the fields of model families differ, as configs spell them."""

from typing import Literal

DensityActivation = Literal["softplus", "relu", "exp"]
GeneratorActivation = Literal["softplus", "relu"]
"""The density activations of published generators; reconstructors know the exponential too."""

PlaneAxes = Literal["xy-xz-zx", "xy-xz-yz", "xy-xz-zy"]
HiddenActivation = Literal["lrelu", "relu", "linear"]
