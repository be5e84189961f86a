"""The three networks of MTCNN, built for tensors that somebody has.

Zhang et al., "Joint face detection and alignment using multitask cascaded convolutional networks" (2016), fig. 2: each
is a few convolutions with PReLU and pooling, then a head for face or not (softmax over 2), one for the box (4), and in
the last network one for five points (10). Names and shapes are those of the files in the wheel of facenet-pytorch.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gen3d_tools.checkpoints.native import check_tensors
from gen3d_tools.checkpoints.pickles.legacy_file import read_tensor_table

NETWORK_FILES = ("pnet.pt", "rnet.pt", "onet.pt")
"""The files of a folder of MTCNN, in the order of the cascade."""


class ProposalNetwork(nn.Module):
    """P-Net: runs over a picture of any size; one answer per 2 pixels, each for a window of 12."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b y x"], Float[Tensor, "b 4 y x"]]:
        """Give the probability of a face in each window, and offsets of the box in sides of the window."""
        x = F.max_pool2d(self.prelu1(self.conv1(images)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(dim=1)[:, 1], self.conv4_2(x)


class RefiningNetwork(nn.Module):
    """R-Net: windows of 24 pixels, judged again."""

    side = 24

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, images: Float[Tensor, "b 3 24 24"]) -> tuple[Float[Tensor, " b"], Float[Tensor, "b 4"]]:
        """Give the probability of a face, and offsets of its box in sides of the window."""
        x = F.max_pool2d(self.prelu1(self.conv1(images)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu4(self.dense4(_columns_first(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(dim=1)[:, 1], self.dense5_2(x)


class OutputNetwork(nn.Module):
    """O-Net: windows of 48 pixels, judged for the last time, with the five points."""

    side = 48

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(
        self, images: Float[Tensor, "b 3 48 48"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "b 4"], Float[Tensor, "b 10"]]:
        """Give probability, offsets of the box, and points: five x, then five y, in sides of the window."""
        x = F.max_pool2d(self.prelu1(self.conv1(images)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu5(self.dense5(_columns_first(self.prelu4(self.conv4(x)))))
        return self.dense6_1(x).softmax(dim=1)[:, 1], self.dense6_2(x), self.dense6_3(x)


def load_networks(folder: str | Path) -> tuple[ProposalNetwork, RefiningNetwork, OutputNetwork]:
    """Read the three files of a folder as tensors, nothing else.

    Raises:
        NotFoundError: One of the files is not there.
        CheckpointError: One is damaged, or holds another network.
    """
    networks = ProposalNetwork(), RefiningNetwork(), OutputNetwork()
    for network, name in zip(networks, NETWORK_FILES, strict=True):
        _fill(network, read_tensor_table(Path(folder) / name), Path(folder) / name)
    return networks


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    check_tensors(dict(tensors), network.state_dict(), str(path))
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False)


def _columns_first(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n"]:
    """Flatten by columns, rows, channels: the networks were trained by a program that stores pictures so."""
    return torch.flatten(x.permute(0, 3, 2, 1), 1)
