"""MTCNN: windows of every size are proposed, refined, and judged with five points (Zhang et al. 2016, section II)."""

import math
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.perception.faces.face import Face
from gen3d_tools.perception.faces.mtcnn_networks import OutputNetwork, ProposalNetwork, RefiningNetwork, load_networks

_WINDOW, _STRIDE = 12, 2  # pixels of the first network
_FACTOR = 0.709  # from one size of the picture to the next: an area of one half
_LONGEST = 1024  # pixels of the longer side that are looked at
_SMALLEST_FACE = 20  # ... and of a face in it
_SURE = (0.6, 0.7, 0.9)  # probabilities at which each network keeps a window; the last is EG3D's
_MOST = 2000  # windows that are looked at closely: the likeliest

Boxes = Float[Tensor, "n 4"]
"""Left, top, right and bottom in pixels."""


class Mtcnn:
    """The detector of a folder with its three files.

    Args:
        folder: Holds pnet.pt, rnet.pt and onet.pt.

    Raises:
        NotFoundError: One of the files is not there.
        CheckpointError: One is damaged, or holds another network.
    """

    name = "mtcnn"

    def __init__(self, folder: str | Path) -> None:
        self.proposing, self.refining, self.judging = load_networks(folder)

    @torch.no_grad()
    def __call__(self, rgb: Float[Tensor, "3 h w"]) -> list[Face]:
        """Find the faces in a picture in [0, 1], largest first."""
        height, width = rgb.shape[-2:]
        scale = min(1.0, _LONGEST / max(height, width))
        if scale < 1:
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            rgb = F.interpolate(rgb[None], size, mode="bilinear", antialias=True)[0]
        picture = rgb.cpu().float() * 2 - 1  # (255 x - 127.5) / 127.5; the networks' 128 makes no difference
        boxes = _proposed(self.proposing, picture)
        boxes = _refined(self.refining, picture, boxes)
        faces = [
            Face(points / scale, tuple(float(v) / scale for v in box), float(confidence))  # type: ignore[arg-type]
            for points, box, confidence in zip(*_judged(self.judging, picture, boxes), strict=True)
        ]
        return sorted(faces, key=lambda face: -face.extent)


def _proposed(network: ProposalNetwork, picture: Float[Tensor, "3 h w"]) -> Boxes:
    """Run the first network over the picture at every size at which a window may hold a face."""
    height, width = picture.shape[-2:]
    scale, found, scores = _WINDOW / _SMALLEST_FACE, [], []
    while min(height, width) * scale >= _WINDOW:
        size = (math.floor(height * scale) + 1, math.floor(width * scale) + 1)
        probability, offsets = network(F.interpolate(picture[None], size, mode="area"))
        rows, columns = (probability[0] > _SURE[0]).nonzero(as_tuple=True)
        corner = torch.stack([columns, rows], dim=1) * _STRIDE
        boxes = torch.cat([corner, corner + _WINDOW], dim=1) / scale
        certain = probability[0, rows, columns]
        kept = _apart(boxes, certain, 0.5)
        found.append(_moved(boxes[kept], offsets[0, :, rows, columns].T[kept]))
        scores.append(certain[kept])
        scale *= _FACTOR
    if not found:
        return picture.new_zeros(0, 4)
    boxes, certain = torch.cat(found), torch.cat(scores)
    return _squared(boxes[_apart(boxes, certain, 0.7)])


def _refined(network: RefiningNetwork, picture: Float[Tensor, "3 h w"], boxes: Boxes) -> Float[Tensor, "k 4"]:
    """Judge proposed windows by the second network."""
    if not len(boxes):
        return boxes
    probability, offsets = network(_windows(picture, boxes, network.side))
    sure = probability > _SURE[1]
    boxes, offsets, probability = boxes[sure], offsets[sure], probability[sure]
    kept = _apart(boxes, probability, 0.7)
    return _squared(_moved(boxes[kept], offsets[kept]))


def _judged(
    network: OutputNetwork, picture: Float[Tensor, "3 h w"], boxes: Boxes
) -> tuple[Float[Tensor, "k 5 2"], Float[Tensor, "k 4"], Float[Tensor, " k"]]:
    """Judge refined windows by the third network: points, boxes and probabilities."""
    if not len(boxes):
        return boxes.new_zeros(0, 5, 2), boxes, boxes.new_zeros(0)
    probability, offsets, places = network(_windows(picture, boxes, network.side))
    sure = probability > _SURE[2]
    boxes, offsets, places, probability = boxes[sure], offsets[sure], places[sure], probability[sure]
    corner, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    points = corner + sides * places.reshape(-1, 2, 5).transpose(1, 2)
    moved = _moved(boxes, offsets)
    kept = _apart(moved, probability, 0.7, of_smaller=True)
    return points[kept], moved[kept], probability[kept]


def _windows(picture: Float[Tensor, "3 h w"], boxes: Boxes, side: int) -> Float[Tensor, "n 3 side side"]:
    """Cut windows out of the picture and bring them to one size; what lies beyond its edges is black."""
    height, width = picture.shape[-2:]
    made = []
    for left, top, right, bottom in boxes.round().long().tolist():
        rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
        inside = picture[:, rows, columns]
        if not inside.numel():
            made.append(picture.new_full((3, side, side), -1.0))
            continue
        beyond = (max(0, -left), max(0, right - width), max(0, -top), max(0, bottom - height))
        made.append(F.interpolate(F.pad(inside, beyond, value=-1.0)[None], (side, side), mode="area")[0])
    return torch.stack(made)


def _moved(boxes: Boxes, offsets: Float[Tensor, "n 4"]) -> Boxes:
    """Move the corners by offsets in sides of the box."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes + offsets * torch.stack([width, height, width, height], dim=1)


def _squared(boxes: Boxes) -> Boxes:
    """Make squares of the longer side around the same centres."""
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return torch.cat([centre - side / 2, centre + side / 2], dim=1)


def _apart(boxes: Boxes, scores: Float[Tensor, " n"], overlap: float, *, of_smaller: bool = False) -> Int[Tensor, " k"]:
    """Keep the likeliest of boxes that overlap (non-maximum suppression), the likeliest first.

    Args:
        boxes: The boxes.
        scores: How likely each is.
        overlap: Share of the union, or of the smaller box, from which on two are one.
        of_smaller: Count in shares of the smaller box.
    """
    order = scores.argsort(descending=True, stable=True)[:_MOST]
    boxes = boxes[order]
    area = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(dim=1)
    low, high = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = (high - low).clamp_min(0).prod(dim=2)
    whole = torch.minimum(area[:, None], area) if of_smaller else area[:, None] + area - common
    near: Bool[Tensor, "n n"] = common > overlap * whole
    left = torch.ones(len(boxes), dtype=torch.bool)
    for index in range(len(boxes)):
        if left[index]:
            left[index + 1 :] &= ~near[index, index + 1 :]
    return order[left]
