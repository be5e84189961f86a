"""Tri-plane fields of every kind that the kernels serve, with random numbers; scripts on real threads."""

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.layers import FullyConnected
from gen3d_tools.kernels.network.numbers import DecoderNumbers


class LeakyDecoder(nn.Module):
    """As in 3DGP and EpiGRAF: leaky ReLU with a gain of sqrt(2), the density in the last row."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = FullyConnected(channels, hidden, activation="lrelu")
        self.last = FullyConnected(hidden, 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        output = self.last(self.first(features))
        return output[..., :3], output[..., 3]

    def numbers(self) -> DecoderNumbers:
        (w1, b1), (w2, b2) = self.first.numbers(), self.last.numbers(math.sqrt(2))
        return DecoderNumbers(
            weights=(w1, w2), biases=(b1, b2), activation="lrelu", density_row=3, value_activation="linear"
        )


@dataclass(frozen=True)
class Kind:
    """What a field of one family looks like."""

    decoder: str  # "softplus", "leaky"
    hidden: tuple[int, ...]
    plane_axes: str
    align_corners: bool
    combine: str = "mean"
    outside: str = "decode"
    channels: int = 8


KINDS = {
    "eg3d": Kind("softplus", (64,), "xy-xz-zx", False),
    "eg3d-repaired": Kind("softplus", (64,), "xy-xz-zy", False),
    "3dgp": Kind("leaky", (64,), "xy-xz-yz", True),
    "sum": Kind("leaky", (64,), "xy-xz-yz", True, combine="sum"),
    "shapes": Kind("softplus", (64, 64), "xy-xz-zy", False, outside="empty"),
    "deep": Kind("softplus", (24, 40, 16), "xy-xz-yz", True),
    "narrow": Kind("softplus", (20,), "xy-xz-zx", True, outside="empty"),
}


def make_decoder(kind: Kind) -> nn.Module:
    if kind.decoder == "leaky":
        return LeakyDecoder(kind.channels, *kind.hidden)
    return Decoder(kind.channels, kind.hidden, 3, density_gain=3.0)


def make_field(
    kind: Kind, *, seed: int = 0, size: int = 16, rough: float = 0.3, box_side: float = 1.4
) -> TriplaneField:
    """Smooth random planes with some noise, and a random decoder with random biases."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = make_decoder(kind)
        for name, parameter in decoder.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter)
        coarse = torch.randn(3, kind.channels, 5, 5)
        planes = 3 * F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
        planes = planes + rough * torch.randn(planes.shape)
    return TriplaneField(
        planes=planes,
        decoder=decoder,
        render_config=RenderConfig(near="box", far="box"),
        box_side=box_side,
        plane_axes=kind.plane_axes,
        align_corners=kind.align_corners,
        combine=kind.combine,
        outside=kind.outside,
    )


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


def on_threads(script: str, folder: Path, *numbers: int) -> list[dict]:
    """Run a script on each number of real threads, in a process of its own, and read what it prints last, as JSON.

    The script is given the folder and the number. The first run compiles what is not on disk for the others.
    """

    def start(threads: int) -> subprocess.Popen:
        environment = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        arguments = [sys.executable, "-c", script, str(folder), str(threads)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def result(process: subprocess.Popen) -> dict:
        out, err = process.communicate()
        assert process.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    first = result(start(numbers[0]))
    return [first, *(result(process) for process in [start(number) for number in numbers[1:]])]
