"""What of a photo is object: from its own transparency, a mask, rembg, or the colours along its border.

The last needs nothing but the photo. Colours near the border are background, those that the border cannot explain are
object (two mixtures of colours, as in Rother et al. 2004, "GrabCut"); neighbours of like colour belong together, which
is settled by one sparse linear system instead of a cut (Grady 2006, "Random walks for image segmentation").
"""

import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import scipy.ndimage as ndimage
import scipy.sparse as sparse
import torch
from jaxtyping import Float
from scipy.cluster.vq import kmeans2
from scipy.sparse.linalg import cg
from torch import Tensor

from gen3d_tools.errors import InputError, MissingDependencyError, NotFoundError
from gen3d_tools.media.photos import OpenedPhoto
from gen3d_tools.photos.mask_confidence import MaskConfidence, judge_mask
from gen3d_tools.photos.salient_network import mask_by_network
from gen3d_tools.photos.several import choose_object
from gen3d_tools.wording import option

Separation = Literal["auto", "alpha", "border", "rembg", "none"]

_NETWORKS = ("isnet-general-use", "u2net", "u2netp")  # of rembg, the best first
_SIDE = 128  # pixels of the longer side at which the border's colours are studied
_FRAME = 0.04  # width of the border, as a share of the side
_COLOURS = 5  # of each mixture
_ROUNDS = 4
_PLAIN = 0.06  # a border whose colours differ from their median by less than this, in nine of ten pixels, is plain
_CLEAR = 0.10  # colour distance from a plain border at which a pixel is surely object
_EDGE = 60.0  # how strongly a squared difference of colours parts neighbours
_PULL = 0.05  # of the colours against the neighbours
_CRUMB = 0.03  # parts smaller than this share of the largest are crumbs; the middle of the photo counts more
_PATCH = 0.15  # ... and patches of a busy background
_PINHOLE = 6  # pixels of a hole that noise makes


def check_separation(name: str) -> Separation | Path:
    """Read `--background`: a way to separate, or the .onnx file of a network that does.

    Raises:
        NotFoundError: It looks like a file, and there is none.
        InputError: Something else is asked for.
    """
    if name.strip().lower().endswith(".onnx"):
        if not Path(name).is_file():
            raise NotFoundError(f"no network at {name}; give the .onnx file of a salient-object network (ISNet, U2Net)")
        return Path(name)
    for known in get_args(Separation):
        if name.strip().lower() == known:
            found: Separation = known
            return found
    raise InputError(
        f"unknown background {name[:40]!r}; choose from {', '.join(get_args(Separation))}, or give a network as .onnx"
    )


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object on white."""

    rgb: Float[Tensor, "3 h w"]
    """In [0, 1], white behind the object; along its edge too, without a rim of the old background."""

    mask: Float[Tensor, "1 h w"]
    """How much of each pixel is object, in [0, 1]."""

    method: str
    """How it was found: "mask", "alpha", "border", "rembg", "onnx", or "none" where everything stayed."""

    confidence: MaskConfidence | None = None
    """How far a mask from colours can be believed; None for other ones."""

    objects: int = 1
    """How many objects of like size the photo shows; the mask holds one of them."""


def cut_out(
    photo: OpenedPhoto,
    method: Separation | Path,
    mask: Float[Tensor, "1 h w"] | None = None,
    object_number: int | None = None,
) -> Cutout:
    """Find the object and put it on white.

    Args:
        photo: The photo as opened.
        method: "auto" takes the first that applies: transparency, a plain border, rembg if it is installed and its
            network is on disk, any border. A path is that of a network as .onnx.
        mask: The user's; then nothing is looked for.
        object_number: Which of several objects, 1 = the largest; None = the largest.

    Raises:
        InputError: The photo has no transparency to take, or fewer objects.
        MissingDependencyError: rembg, its network or onnxruntime is missing.
        CheckpointError: The .onnx file is broken, or is no salient-object network.
    """
    rgb, alpha = photo.rgb, photo.alpha
    if mask is not None:
        one = choose_object(mask, object_number)
        return Cutout(_on_white(rgb, one.mask), one.mask, "mask", objects=one.count)
    if method == "alpha" and alpha is None:
        raise InputError(
            f"the photo has no transparency; leave {option('background', 'alpha')} out, or give a {option('mask')}"
        )
    if alpha is not None and method in ("alpha", "auto"):
        one = choose_object(alpha, object_number)
        return Cutout(rgb * one.mask + 1 - one.mask, one.mask, "alpha", objects=one.count)
    if alpha is not None:
        rgb = rgb * alpha + 1 - alpha
    if method == "none":
        if object_number is not None:
            raise InputError(
                f"{option('object_number', object_number, typed='--object')} needs objects that are told from their "
                f"background; leave {option('background', 'none')} out"
            )
        return Cutout(rgb, torch.ones_like(rgb[:1]), "none")
    if isinstance(method, Path):
        one = choose_object(mask_by_network(rgb, method), object_number)
        return Cutout(_on_white(rgb, one.mask), one.mask, "onnx", objects=one.count)
    plain = has_plain_border(rgb)
    if method == "rembg" or (method == "auto" and not plain and rembg_network() is not None):
        one = choose_object(_by_rembg(rgb), object_number)
        return Cutout(_on_white(rgb, one.mask), one.mask, "rembg", objects=one.count)
    whole = by_border(rgb)
    one = choose_object(whole, object_number)
    mask, confidence = one.mask, judge_mask(rgb, one.mask, None if plain else by_border, whole)
    if not plain:
        return Cutout(_on_white(rgb, mask), mask, "border", confidence, one.count)
    _, behind = _border_spread(_small(rgb))  # pixel = mask * object + (1 - mask) * behind, with `behind` known
    old = torch.from_numpy(behind).to(rgb)[:, None, None]
    return Cutout(
        torch.where(mask > 0, rgb + (1 - mask) * (1 - old), 1.0).clamp(0, 1), mask, "border", confidence, one.count
    )


def has_plain_border(rgb: Float[Tensor, "3 h w"]) -> bool:
    """Tell whether the photo stands before one colour, such as a sheet of paper or a drawing's white."""
    spread, _ = _border_spread(_small(rgb))
    return spread < _PLAIN


def by_border(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "1 h w"]:
    """Separate by the colours along the border; deterministic.

    Returns:
        The mask in [0, 1]; empty where everything looks like the border.
    """
    pixels = _small(rgb)
    spread, median = _border_spread(pixels)
    if spread < _PLAIN:
        distance = np.linalg.norm(pixels - median, axis=-1)
        low = max(2 * spread, 0.02)
        share = np.clip((distance - low) / max(_CLEAR - low, 0.03), 0, 1)
        small = _without_holes(share, distance > _PLAIN, _CRUMB)
    else:
        small = _by_mixtures(pixels)
    mask = torch.from_numpy(small.astype(np.float32))[None, None]
    height, width = rgb.shape[-2:]
    if spread >= _PLAIN:
        return torch.nn.functional.interpolate(mask, (height, width), mode="bicubic")[0].clamp(0, 1)
    # Before one colour the full picture says itself where the edge runs; the small one says which parts are object.
    near = torch.nn.functional.interpolate(torch.nn.functional.max_pool2d(mask, 3, 1, 1), (height, width))[0]
    distance = (rgb - torch.from_numpy(median)[:, None, None].to(rgb)).norm(dim=0, keepdim=True)
    low = max(2 * spread, 0.02)
    inside = torch.nn.functional.interpolate(_eroded(mask), (height, width))[0]
    peak = torch.nn.functional.max_pool2d(distance, 5, 1, 2)  # what a pixel of the edge is a share of
    fine = ((distance - low) / (peak.clamp_min(_CLEAR) - low).clamp_min(0.03)).clamp(0, 1)
    return torch.maximum(torch.where(near > 0.5, fine, 0.0), (inside > 0.99).float())


def rembg_network() -> str | None:
    """Name a network of rembg's that lies on disk; None if there is none, or no rembg that runs.

    It is not imported for that: without its backend rembg ends the program that imports it.
    """
    try:
        if not all(importlib.util.find_spec(name) for name in ("rembg", "onnxruntime")):
            return None
    except ValueError:  # what `sys.modules` says of a module that must not be imported
        return None
    folder = Path(os.environ.get("U2NET_HOME", Path(os.environ.get("XDG_DATA_HOME", Path.home())) / ".u2net"))
    return next((name for name in _NETWORKS if (folder / f"{name}.onnx").is_file()), None)


def _by_rembg(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "1 h w"]:
    """Ask rembg, which downloads what it lacks; so only networks that are there are asked for."""
    missing = MissingDependencyError(
        "rembg, its backend or its network is not here; run: pip install 'rembg[cpu]' && rembg d u2net, or try "
        f"{option('background', 'border')}, or give a {option('mask')}"
    )
    network = rembg_network()
    if network is None:
        raise missing
    try:
        from rembg import new_session, remove
    except (ImportError, OSError, SystemExit) as error:
        raise missing from error

    pixels = (rgb.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    mask = remove(pixels, session=new_session(network), only_mask=True)
    return torch.from_numpy(np.asarray(mask, np.float32) / 255)[None]


def _on_white(rgb: Float[Tensor, "3 h w"], mask: Float[Tensor, "1 h w"]) -> Float[Tensor, "3 h w"]:
    """Put an object on white. Pixels of its edge are half background; they take the object's colour beside them."""
    sure = (mask > 0.95).float()
    size = 2 * max(1, round(max(rgb.shape[-2:]) / 128)) + 1

    def blur(values: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(values[None], size, 1, size // 2, count_include_pad=False)[0]

    near = blur(blur(sure))
    beside = blur(blur(rgb * sure)) / near.clamp_min(1e-6)
    front = torch.where((sure > 0) | (near < 1e-4), rgb, beside)
    return (front * mask + 1 - mask).clamp(0, 1)


def _small(rgb: Float[Tensor, "3 h w"]) -> np.ndarray:
    """Shrink to `_SIDE`, rows first."""
    scale = min(1.0, _SIDE / max(rgb.shape[-2:]))
    size = [max(8, round(scale * side)) for side in rgb.shape[-2:]]
    small = torch.nn.functional.interpolate(rgb[None].cpu(), size, mode="bilinear", antialias=True)[0]
    return np.ascontiguousarray(small.permute(1, 2, 0).numpy())


def _frame(shape: tuple[int, ...]) -> np.ndarray:
    """Mark the border."""
    wide = max(1, round(_FRAME * max(shape[:2])))
    frame = np.ones(shape[:2], bool)
    frame[wide:-wide, wide:-wide] = False
    return frame


def _border_spread(pixels: np.ndarray) -> tuple[float, np.ndarray]:
    """Give how far nine of ten border pixels are from their median colour, at most, and that colour."""
    border = pixels[_frame(pixels.shape)]
    median = np.median(border, axis=0)
    return float(np.quantile(np.linalg.norm(border - median, axis=-1), 0.9)), median


def _by_mixtures(pixels: np.ndarray) -> np.ndarray:
    """Part two mixtures of colours, beginning with the border and what it does not explain."""
    shape, frame = pixels.shape[:2], _frame(pixels.shape)
    colours = pixels.reshape(-1, 3).astype(np.float64)
    behind = _mixture(colours[frame.ravel()])
    surprise = behind(colours).reshape(shape)
    smooth = ndimage.gaussian_filter(surprise, 1.5)
    rows, columns = (np.linspace(-1, 1, side) for side in shape)
    central = np.hypot(rows[:, None], columns[None]) < 0.9
    inside = central & (smooth > max(np.quantile(smooth[frame], 0.95), np.quantile(smooth, 0.6)))
    if not inside.any():
        return np.zeros(shape)
    system, share = _neighbours(pixels), inside.astype(float)
    for _ in range(_ROUNDS):
        front, back = share > 0.5, (share < 0.5) | frame
        if front.sum() < 4 * _COLOURS:
            return np.zeros(shape)
        gap = _mixture(colours[back.ravel()])(colours) - _mixture(colours[front.ravel()])(colours)
        wish = 1 / (1 + np.exp(-np.clip(gap, -30, 30)))
        wish[frame.ravel()] *= 0.05
        share = _settle(system, wish).reshape(shape)
    return _without_holes(np.clip((share - 0.35) / 0.3, 0, 1), np.zeros(shape, bool), _PATCH)


def _mixture(colours: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a mixture of colours; the function given is minus the logarithm of its density, up to a constant."""
    count = min(_COLOURS, max(1, len(colours) // 4), len(np.unique(colours, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster may stay empty; it is left out
        centres, owner = kmeans2(colours, count, minit="++", rng=np.random.default_rng(0), iter=12)
    parts = []
    for index in range(count):
        own = colours[owner == index]
        if len(own):
            spread = np.cov(own.T) if len(own) > 3 else np.zeros((3, 3))
            spread = spread + 4e-4 * np.eye(3)
            parts.append((len(own) / len(colours), centres[index], np.linalg.inv(spread), np.linalg.slogdet(spread)[1]))

    def surprise(values: np.ndarray) -> np.ndarray:
        terms = []
        for weight, centre, precision, volume in parts:
            offset = values - centre
            terms.append(0.5 * (np.einsum("ni,ij,nj->n", offset, precision, offset) + volume) - np.log(weight))
        return np.asarray(np.min(terms, axis=0))

    return surprise


def _neighbours(pixels: np.ndarray) -> sparse.csr_matrix:
    """The Laplacian of the picture's grid: neighbours of like colour are tied together."""
    height, width = pixels.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    firsts, seconds, ties = [], [], []
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        difference = ((pixels[a] - pixels[b]) ** 2).sum(-1)
        firsts.append(index[a].ravel())
        seconds.append(index[b].ravel())
        ties.append(np.exp(-_EDGE * difference).ravel() + 1e-3)
    first, second, tie = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(ties)
    size = height * width
    joined = sparse.coo_matrix((tie, (first, second)), shape=(size, size))
    joined = joined + joined.T
    return sparse.diags(np.asarray(joined.sum(axis=1)).ravel()) - joined


def _settle(laplacian: sparse.csr_matrix, wish: np.ndarray) -> np.ndarray:
    """Balance what the colours wish for with what the neighbours are."""
    system = (laplacian + _PULL * sparse.eye(len(wish))).tocsr()
    share, _ = cg(system, _PULL * wish, x0=wish, rtol=1e-4, maxiter=400)
    return np.asarray(share)


def _without_holes(share: np.ndarray, fillable: np.ndarray, smallest: float) -> np.ndarray:
    """Drop small parts and threads, such as a horizon; fill holes whose pixels are `fillable`, and pinholes."""
    inside = share > 0.5
    opened = ndimage.binary_opening(inside)
    parts, count = ndimage.label(opened if opened.any() else inside)
    if not count:
        return np.zeros_like(share)
    rows, columns = (np.linspace(-1, 1, side) for side in share.shape)
    central = np.exp(-1.5 * (rows[:, None] ** 2 + columns[None] ** 2))
    sizes = ndimage.sum_labels(central, parts, np.arange(1, count + 1))
    kept = np.isin(parts, 1 + np.flatnonzero(sizes >= smallest * sizes.max()))
    share = np.where(ndimage.binary_dilation(kept, iterations=2), share, 0)
    holes, count = ndimage.label(ndimage.binary_fill_holes(kept) & ~kept)
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    pinholes = (areas <= _PINHOLE)[holes]
    return np.where((holes > 0) & (fillable | pinholes), 1.0, share)


def _eroded(mask: Float[Tensor, "1 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    return 1 - torch.nn.functional.max_pool2d(1 - mask, 5, 1, 2)
