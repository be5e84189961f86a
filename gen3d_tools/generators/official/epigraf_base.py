"""What the readers of EpiGRAF and 3DGP pickles share."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.cameras.distributions.priors import PosePrior
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.density import activate_density
from gen3d_tools.generators.networks.fourier import fourier_frequencies
from gen3d_tools.generators.official.settings_tables import number, rows, without_filters
from gen3d_tools.generators.settings import TrustedViews

RAW_ISO_LEVEL = 25.0
"""Raw density at the surface that the geometry scripts use, before shift and activation."""
_QUARTER = {"z": 0.0, "x": 90.0}  # our yaw of the axis
LICENCE = "see the original release"

_DECODER = "synthesis.tri_plane_decoder"
_MLP = "synthesis.tri_plane_mlp.model"


def table(settings: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """Take a table out of a table.

    Raises:
        CheckpointError: It is not there, or no table.
    """
    value = settings.get(name) if isinstance(settings, Mapping) else None
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{where} holds no table {name}; the file is incomplete, or of another kind")
    return value


def setting(settings: Mapping[str, Any], name: str, where: str) -> float:
    """Take a number out of a table.

    Raises:
        CheckpointError: It is not there, or no number.
    """
    if name not in settings:
        raise CheckpointError(f"{where} lacks {name}; the file is incomplete, or of another kind")
    return number(settings[name], f"{name} of {where}")


def count(settings: Mapping[str, Any], name: str, where: str, default: int | None = None) -> int:
    """Take a whole number out of a table.

    Raises:
        CheckpointError: It is not there and has no default, or is no whole number.
    """
    if name not in settings and default is not None:
        return default
    value = setting(settings, name, where)
    if value != int(value) or not 0 <= value < 1 << 20:
        raise CheckpointError(f"{name} of {where} is {value:g}, it must be a whole number of at most 2^20")
    return int(value)


def root_facts(model: OfficialModel) -> dict[str, Any]:
    """Arguments and attributes of the generator in one table; attributes are newer."""
    return {**model.init_kwargs, **model.attributes.get("", {})}


def plane_values(model: OfficialModel, tensors: Mapping[str, Tensor], conv_clamp: float | None) -> dict[str, Any]:
    """Say what both families' configs share, in the words of `PlaneConfig`, without box and density.

    Args:
        model: What the pickle holds.
        tensors: Its tensors.
        conv_clamp: Where neither attributes nor arguments say.
    """
    config, facts = model.config, root_facts(model)
    conditioned = bool(config.get("camera_cond", False))
    resolution = _plane_resolution(tensors)
    w_dim = rows(tensors, "mapping.fc0.weight")
    layers = len({match[1] for name in tensors if (match := re.match(r"mapping\.fc(\d+)\.weight", name))})
    labelled = "mapping.embed.weight" in tensors
    label_dim = rows(tensors, "mapping.embed.weight", columns=True) if labelled else 0
    mlp = sum(1 for name in tensors if re.fullmatch(re.escape(_MLP) + r"\.\d+\.weight", name))
    last_mapped = rows(tensors, f"mapping.fc{max(layers - 1, 0)}.weight")
    return {
        "z_dim": rows(tensors, "mapping.fc0.weight", columns=True) - (w_dim if labelled else 0),
        "w_dim": last_mapped,
        "num_classes": max(0, label_dim - 2 * conditioned),
        "camera_conditioned": conditioned,
        "mapping_layers": count(config, "map_depth", "the config", layers),
        "plane_resolution": resolution,
        "plane_channels": count(table(config, "tri_plane", "the config"), "feat_dim", "tri_plane", 32),
        "channel_base": _channel_base(config, facts),
        "channel_max": _channel_max(config, facts),
        "use_noise": f"{_DECODER}.b4.conv1.noise_const" in tensors,
        "conv_clamp": _conv_clamp(model, facts, conv_clamp),
        "decoder_layers": mlp,
        "decoder_hidden": rows(tensors, f"{_MLP}.0.weight"),
        "image_resolution": count(facts, "img_resolution", "the generator", 256),
    }


def _channel_max(config: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    if "channel_max" in facts:
        return count(facts, "channel_max", "the generator's arguments")
    return count(config, "cmax", "the config", 512)


def _plane_resolution(tensors: Mapping[str, Tensor]) -> int:
    blocks = [re.match(re.escape(_DECODER) + r"\.b(\d{1,5})\.", name) for name in tensors]
    return max((int(block[1]) for block in blocks if block), default=0)


def _channel_base(config: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    if "channel_base" in facts:
        return count(facts, "channel_base", "the generator's arguments")
    factor = number(config.get("fmaps", 1.0), "fmaps")
    if not 0 < factor < 1 << 10:
        raise CheckpointError(f"fmaps is {factor:g}, it must be a moderate number above 0")
    return int(count(config, "cbase", "the config", 32768) * factor)


def _conv_clamp(model: OfficialModel, facts: Mapping[str, Any], default: float | None) -> float | None:
    """The clamp of the backbone's layers, which decides the output; training in float32 has none."""
    for path, attributes in model.attributes.items():
        if path.startswith(_DECODER) and "conv_clamp" in attributes:
            value = attributes["conv_clamp"]
            break
    else:
        value = facts.get("conv_clamp", default)
    return None if value is None else number(value, "conv_clamp")


def network_tensors(model: OfficialModel, mean_camera: str, periods: Mapping[str, float]) -> dict[str, Tensor]:
    """Give the state dict without constants and without the mean camera, which is kept in the config.

    Args:
        model: What the pickle holds.
        mean_camera: Name of the buffer of the mean camera.
        periods: Names of the buffers of Fourier frequencies, and the period each belongs to.

    Raises:
        CheckpointError: A constant is another one, which these networks could not reproduce.
    """
    tensors = without_filters(model.tensors)
    tensors.pop(mean_camera, None)
    for name, period in periods.items():
        stored = tensors.pop(name, None)
        expected = fourier_frequencies(period)
        if stored is None or stored.shape != expected.shape or not torch.allclose(stored.float(), expected, rtol=1e-5):
            raise CheckpointError(f"{name} is missing or does not belong to a period of {period:g}")
    return tensors


def mean_camera_values(model: OfficialModel, name: str, numbers: int) -> tuple[float, ...]:
    """Read the buffer of the mean camera.

    Raises:
        CheckpointError: It is not there, or holds other numbers.
    """
    stored = model.tensors.get(name)
    if stored is None or stored.shape != (numbers,) or not torch.isfinite(stored).all():
        raise CheckpointError(f"{name} is missing or does not hold {numbers} numbers; is it another network?")
    return tuple(float(value) for value in stored.double())


def activated_iso_level(activation: DensityActivation, shift: float, raw: float = RAW_ISO_LEVEL) -> float:
    """A raw density at the surface as density per world unit."""
    return float(activate_density(torch.tensor(raw, dtype=torch.float64), activation, shift))


def fixed_view(pose: Pose) -> FixedCamera:
    """A single pose in our degrees, around the point it looks at."""
    target = pose.target
    yaw, pitch, radius = (value.item() for value in pose.camera().spherical(target))
    x, y, z = (value + 0.0 for value in target.tolist())  # no negative zeros
    if not any((x, y, z)):
        radius = float(pose.radius)  # without the last bit lost on the way
    return FixedCamera(yaw_deg=yaw, pitch_deg=pitch, radius=radius, fov_y_deg=float(pose.fov_deg), target=(x, y, z))


def trusted_views(prior: PosePrior) -> TrustedViews:
    """Where nearly all training cameras are, in our degrees."""
    yaw_low, yaw_high = (_QUARTER[prior.yaw_zero] - math.degrees(end) for end in reversed(prior.yaw.range()))
    pitch_low, pitch_high = (90 - math.degrees(end) for end in reversed(prior.pitch.range()))
    if yaw_high - yaw_low > 360:
        yaw_low, yaw_high = -180.0, 180.0
    return TrustedViews(
        yaw_min_deg=yaw_low,
        yaw_max_deg=yaw_high,
        pitch_min_deg=max(pitch_low, -90.0),
        pitch_max_deg=min(pitch_high, 90.0),
    )


def class_names(classes: int) -> tuple[str, ...]:
    """Names of classes that a pickle only counts: their indices."""
    return tuple(str(index) for index in range(classes))
