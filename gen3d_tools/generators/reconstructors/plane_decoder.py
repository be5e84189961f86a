"""Planes and decoder to a radiance field, with everything multiplied out that can be.

The decoder reads the features of three planes side by side (or their mean), and its first layer is linear: with
bilinear look-ups f_k of the planes P_k, `W1 [f_0, f_1, f_2] + b1 = sum_k f_k(W1_k P_k) + b1`. So every texel is
multiplied by its plane's part of W1, the look-ups are added, and what is left of the decoder begins with `b1` and the
activation. That is exact, and the bias stays out of the texels: beyond the outermost centres look-ups fade to zero.

TripoSR's world is z up and looks from +x, ours is y up and looks from +z: `(x, y, z)_ours = (y, z, x)_theirs`. So our
xy plane is their third, our xz plane their first and our yz plane their second, the last two turned over.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.reconstructor_configs import PlaneActivation, ReconstructionConfig
from gen3d_tools.kernels.network.numbers import DecoderNumbers, HiddenActivation

_ACTIVATIONS: dict[PlaneActivation, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU, "softplus": nn.Softplus}
_COMPILED: dict[PlaneActivation, HiddenActivation] = {"silu": "silu", "softplus": "softplus"}
"""Activations that the kernels know, by their names there."""

_PUBLISHED_ORDER = (2, 0, 1)
"""Which of the published planes is our xy, xz and yz plane."""


class PlaneDecoder(nn.Module):
    """Features of the planes to raw density and colour; modules bear the names of the published tensors."""

    def __init__(self, config: ReconstructionConfig) -> None:
        super().__init__()
        width, bias = config.decoder_width, config.decoder_bias
        self.activation = config.decoder_activation
        layers: list[nn.Module] = [nn.Linear(config.decoder_inputs, width, bias=bias)]
        for _ in range(config.decoder_layers - 1):
            layers += [_ACTIVATIONS[config.decoder_activation](), nn.Linear(width, width, bias=bias)]
        layers += [_ACTIVATIONS[config.decoder_activation](), nn.Linear(width, 4, bias=bias)]
        self.layers = nn.Sequential(*layers)

    def fold(self, planes: Float[Tensor, "3 features n n"], *, mean: bool) -> Float[Tensor, "3 width n n"]:
        """Multiply the first layer into published planes, and turn them into our xy, xz and yz planes.

        Args:
            planes: As the network gives them.
            mean: The decoder reads the planes' mean, not their features side by side.
        """
        first = self.linear()[0].weight
        parts = (first / 3).expand(3, -1, -1) if mean else torch.stack(first.chunk(3, 1))
        folded = einsum(parts, planes, "p w f, p f y x -> p w y x")
        xy, xz, yz = (folded[index] for index in _PUBLISHED_ORDER)
        return torch.stack([xy, xz.mT, yz.mT])

    def linear(self) -> list[nn.Linear]:
        """The linear layers."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


class FoldedDecoder(nn.Module):
    """A `PlaneDecoder` behind planes that its first layer has been multiplied into.

    Args:
        decoder: Whose layers they are; they are shared, not copied.
    """

    def __init__(self, decoder: PlaneDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, features: Float[Tensor, "*points width"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Return colours in 0..1 and the raw density (before bias and activation)."""
        first, *rest = self.decoder.layers
        assert isinstance(first, nn.Linear)
        x = features if first.bias is None else features + first.bias
        for layer in rest:
            x = layer(x)
        return torch.sigmoid(x[..., 1:]), x[..., 0]

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays for the fast kernels; None where they do not know its activation."""
        activation = _COMPILED.get(self.decoder.activation)
        if activation is None:
            return None
        layers = [(weight.detach().float().cpu(), bias.detach().float().cpu()) for weight, bias in self.tensors()]
        return DecoderNumbers(
            weights=tuple(weight.numpy() for weight, _ in layers),
            biases=tuple(bias.numpy() for _, bias in layers),
            activation=activation,
            density_row=0,
        )

    def tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Give the weights and biases of `numbers` as tensors through which gradients reach the parameters."""
        first, *rest = self.decoder.linear()
        same = torch.eye(first.out_features, device=first.weight.device)
        return [(same, _bias(first)), *((layer.weight, _bias(layer)) for layer in rest)]


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
