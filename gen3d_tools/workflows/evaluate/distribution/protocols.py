"""How papers draw the samples that they measure: named presets."""

from dataclasses import dataclass
from typing import Literal

from gen3d_tools.errors import InputError

CameraSource = Literal["data", "model"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How many samples, seen from where. All of them: truncation off, all pictures of the data set, no mirrored ones.

    Classes are drawn as the data set's own labels are spread, where it has some; networks that are conditioned on a
    camera are told the one that looks.
    """

    name: str
    samples: int
    cameras: CameraSource
    """ "data": those of random entries of the data set, where it has some; "model": of the model's own distribution,
    through its camera generator if it has one."""
    about: str


_EVERY = (
    Protocol(
        name="fid2k",
        samples=2048,
        cameras="data",
        about="2,048 samples against all of the data: for progress (3DGP's and EpiGRAF's fid2k_full)",
    ),
    Protocol(
        name="fid50k",
        samples=50_000,
        cameras="data",
        about="50,000 samples against all of the data, cameras and classes of its labels (EG3D's fid50k_full)",
    ),
    Protocol(
        name="epigraf",
        samples=50_000,
        cameras="data",
        about="EpiGRAF: 50,000 samples, poses of the data set, or of the prior where it has none",
    ),
    Protocol(
        name="3dgp",
        samples=50_000,
        cameras="model",
        about="3DGP: 50,000 samples, prior cameras moved by the camera generator",
    ),
)
PROTOCOLS: dict[str, Protocol] = {one.name: one for one in _EVERY}
DEFAULT = "fid2k"


def protocol_named(name: str) -> Protocol:
    """Find a preset.

    Raises:
        InputError: There is none of that name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name[:40]!r}; choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
