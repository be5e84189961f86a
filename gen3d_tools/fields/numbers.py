"""From a tri-plane field to the plain numbers that the fast kernels read."""

from typing import Protocol, runtime_checkable

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.triplane import PLANE_AXES, TriplaneField
from gen3d_tools.kernels.compiling.announce import cpu_kernels_available
from gen3d_tools.kernels.network.numbers import DecoderNumbers, TriplaneNumbers, channels_last, fits_fast_kernels


@runtime_checkable
class DescribedDecoder(Protocol):
    """A decoder that can say what it computes, so that kernels can do it."""

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays on the CPU, or None where it is more than its features and one network."""


def triplane_numbers(field: RadianceField) -> TriplaneNumbers | None:
    """Describe a field as arrays on the CPU.

    Returns:
        None where the field cannot be described: it is no tri-plane field, its planes are not square, or its decoder
        is a plain function or reads more than features.
    """
    if not isinstance(field, TriplaneField) or field.planes.shape[-1] != field.planes.shape[-2]:
        return None
    network: object = field.decoder
    decoder = network.numbers() if isinstance(network, DescribedDecoder) else None
    if decoder is None:
        return None
    planes = field.planes.detach().float().cpu().numpy()
    texels, axes = channels_last(planes, PLANE_AXES[field.plane_axes])
    return TriplaneNumbers(
        texels=texels,
        axes=axes,
        scale=1 / 3 if field.combine == "mean" else 1.0,
        decoder=decoder,
        align_corners=field.align_corners,
        box_side=field.box_side,
        bounded=field.bounded,
    )


def kernel_numbers(field: RadianceField) -> TriplaneNumbers | None:
    """Describe a field for the compiled kernels; None where they cannot be used, or cannot serve it."""
    numbers = triplane_numbers(field) if cpu_kernels_available() else None
    return numbers if numbers is not None and fits_fast_kernels(numbers) else None
