"""Perceptual distances: how different two pictures look, rather than how different their pixels are.

Each is an object with a name and a call; which one ran is part of a result. None of them downloads anything.
The form is that of LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
2018): feature maps of several depths, each pixel's features scaled to unit length, squared differences.
"""

import importlib.util
import logging
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.errors import CheckpointError, InputError, MissingDependencyError, NotFoundError
from gen3d_tools.perception.encoder import PhotoEncoder

Images = Float[Tensor, "b 3 n n"]
LpipsNet = Literal["vgg", "alex"]

LPIPS_BACKBONES: dict[str, str] = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth"}
"""The files of torchvision that `lpips` builds on, in torch.hub's folder of checkpoints."""

_SCRIPT_SIDE = 256  # larger pictures are reduced to this side before a TorchScript network sees them
_PROBE_SIDE = 64
_log = logging.getLogger(__name__)


@runtime_checkable
class PerceptualDistance(Protocol):
    """What every distance offers."""

    @property
    def name(self) -> str:
        """What to call it in a report."""

    def __call__(self, a: Images, b: Images) -> Float[Tensor, " b"]:
        """Compare pictures in [0, 1] pair by pair; 0 for equal ones. Differentiable."""


class EncoderFeatures:
    """Distance in the feature maps of the encoder that comes with a model."""

    name = "encoder"

    def __init__(self, encoder: PhotoEncoder) -> None:
        self.encoder = encoder

    def __call__(self, a: Images, b: Images) -> Float[Tensor, " b"]:
        """Average the squared difference of unit features over the pixels of a stage, then over the stages."""
        stages = [
            (_unit(first) - _unit(second)).square().sum(dim=1).mean(dim=(1, 2))
            for first, second in zip(self.encoder.features(a), self.encoder.features(b), strict=True)
        ]
        return torch.stack(stages).mean(dim=0)


class LpipsFeatures:
    """LPIPS of the `lpips` package, where it and the network it builds on are already there.

    Raises:
        MissingDependencyError: The package is not installed, or the network would have to be downloaded.
    """

    def __init__(self, net: str = "vgg", *, device: torch.device | str = "cpu") -> None:
        if net not in get_args(LpipsNet):
            raise InputError(f"lpips network {net!r} is unknown; use {' or '.join(get_args(LpipsNet))}")
        if not lpips_available(net):
            raise MissingDependencyError(_lpips_advice(net))
        import lpips

        self.name = f"lpips-{net}"
        self._network: Callable[..., Tensor] = (
            lpips.LPIPS(net=net, verbose=False).eval().requires_grad_(False).to(device)
        )

    def __call__(self, a: Images, b: Images) -> Float[Tensor, " b"]:
        """Return LPIPS."""
        return self._network(a * 2 - 1, b * 2 - 1).flatten()


class TorchScriptFeatures:
    """Distance by a network file: the VGG16 with which published projectors compare pictures, or one like it.

    The network takes pictures in [0, 255], [b, 3, n, n] (reduced to a side of 256 by area where they are larger),
    and answers with vectors whose squared distance is the LPIPS value. If its `forward` has switches (arguments
    with a truth value as default), one that speaks of LPIPS is turned on and one that speaks of resizing off.

    A TorchScript file is a program: loading and running it runs what its author put there. Use files you trust.

    Args:
        path: The file.
        device: Where it runs.

    Raises:
        NotFoundError: No such file.
        CheckpointError: It is no TorchScript file, or does not answer as described.
    """

    def __init__(self, path: str | Path, *, device: torch.device | str = "cpu") -> None:
        path = Path(path)
        if not path.is_file():
            raise NotFoundError(f"no feature network {path}; give a TorchScript file, or the name of a distance")
        check_no_pointer(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers other formats by now
                self._network: Any = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            found = _last_line(error) if zipfile.is_zipfile(path) else "it is no archive"
            raise CheckpointError(
                f"{path} is no TorchScript file that loads here ({found}); save it by torch.jit.save, or use encoder"
            ) from error
        self.name = path.name
        self._switches = _switches(self._network)
        for parameter in self._network.parameters():
            parameter.requires_grad_(False)
        self._probe(path, device)

    def __call__(self, a: Images, b: Images) -> Float[Tensor, " b"]:
        """Return the squared distance of the two answers."""
        return (self._answer(a) - self._answer(b)).square().sum(dim=1)

    def _answer(self, images: Images) -> Tensor:
        if images.shape[-1] > _SCRIPT_SIDE:
            images = F.interpolate(images, size=(_SCRIPT_SIDE, _SCRIPT_SIDE), mode="area")
        answer: Tensor = self._network(images * 255, **self._switches)
        return answer

    @torch.no_grad()
    def _probe(self, path: Path, device: torch.device | str) -> None:
        """Ask once, so that a wrong file is refused before any work is done."""
        needed = "needed: vectors [b, numbers] for pictures [b, 3, n, n] in [0, 255]"
        grey = torch.full((2, 3, _PROBE_SIDE, _PROBE_SIDE), 0.5, device=device)
        try:
            answer = self._answer(grey)
        except (torch.jit.Error, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} cannot look at a picture ({_last_line(error)}); {needed}") from error
        if not isinstance(answer, Tensor) or answer.dim() != 2 or len(answer) != 2 or not answer.is_floating_point():
            found = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise CheckpointError(f"{path} answers with {found}; {needed}")
        if not torch.isfinite(answer).all():
            raise CheckpointError(f"{path} answers with NaN or infinity; {needed}")


def choose_distance(
    name: str | Path | None, encoder: PhotoEncoder | None, *, device: torch.device | str = "cpu"
) -> PerceptualDistance | None:
    """Find the perceptual distance somebody asked for, or the best one at hand; the choice is logged.

    Args:
        name: "encoder", "lpips-vgg", "lpips-alex", "none", or a TorchScript file. None takes the encoder where the
            model has one, else LPIPS where it can run without a download, else none.
        encoder: The model's encoder.
        device: Where other networks than the encoder run.

    Returns:
        None when pictures are to be compared by their pixels alone.

    Raises:
        InputError: The encoder was asked for and the model has none.
        MissingDependencyError: LPIPS was asked for and cannot run.
        NotFoundError: There is no such file, nor a distance of that name.
        CheckpointError: The file does not fit.
    """
    chosen = _automatic(encoder, device) if name is None else _named(name, encoder, device)
    if chosen is not None:
        _log.info("perceptual distance: %s", chosen.name)
    elif name is None:
        _log.warning("no perceptual distance here (the model has no encoder, lpips cannot run): comparing pixels alone")
    return chosen


def _automatic(encoder: PhotoEncoder | None, device: torch.device | str) -> PerceptualDistance | None:
    if encoder is not None:
        return EncoderFeatures(encoder)
    net = next((net for net in get_args(LpipsNet) if lpips_available(net)), None)
    return None if net is None else LpipsFeatures(net, device=device)


def _named(name: str | Path, encoder: PhotoEncoder | None, device: torch.device | str) -> PerceptualDistance | None:
    match str(name):
        case "none":
            return None
        case "encoder" if encoder is not None:
            return EncoderFeatures(encoder)
        case "encoder":
            raise InputError("this model has no encoder; use lpips-vgg, none, or a TorchScript file")
        case "lpips-vgg":
            return LpipsFeatures("vgg", device=device)
        case "lpips-alex":
            return LpipsFeatures("alex", device=device)
        case _ if Path(name).is_file():
            return TorchScriptFeatures(name, device=device)
    raise NotFoundError(
        f"no perceptual distance {str(name)!r}, nor such a file; use encoder, lpips-vgg, lpips-alex, none, or a "
        "TorchScript file"
    )


def lpips_available(net: str) -> bool:
    """Tell whether LPIPS can run here without a download."""
    return importlib.util.find_spec("lpips") is not None and _backbone(net).is_file()


def _backbone(net: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_BACKBONES[net]


def _lpips_advice(net: str) -> str:
    if importlib.util.find_spec("lpips") is None:
        return "the lpips package is not installed; pip install lpips, or use the distance encoder or none"
    return (
        f"lpips is installed, its network {net} is not: {_backbone(net)} is missing and nothing is downloaded here; "
        "put the file there, or use the distance encoder or none"
    )


def _unit(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    return maps * (maps.square().sum(dim=1, keepdim=True) + 1e-6).rsqrt()


def _switches(network: Any) -> dict[str, bool]:
    """Read the truth-valued arguments of a scripted `forward`, and set those whose name tells how."""
    arguments = network.forward.schema.arguments
    names = [argument.name for argument in arguments if isinstance(argument.default_value, bool)]
    settings = {"lpips": True, "resize": False}
    return {name: on for name in names for word, on in settings.items() if word in name.lower()}


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].partition(". ")[0][:120] if lines else type(error).__name__
