"""Ways to find directions: from the weights alone, from the spread of w, from two groups of seeds.

* Closed-form factorisation, "sefa" (Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021): the
  styles of a layer are A w + b, so the unit n that changes them most maximises |A n|^2 (eq. 5): the eigenvectors of
  A^T A with the largest eigenvalues, A being the affine matrices of all chosen layers, one below the other.
* Principal directions, "pca" (Härkönen et al., "GANSpace", 2020): the eigenvectors of the covariance of w.
* Two groups of seeds: from the mean of one to that of the other, "difference"; or the normal of the plane that keeps
  them apart with the widest margin, "svm" (a linear support vector machine, as InterFaceGAN has it, 2020).
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.editing.directions import Direction, Directions, check_layers, model_digest
from gen3d_tools.editing.spread import deviations, sample_w
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.base import Generator

Method = Literal["sefa", "pca"]
GroupMethod = Literal["difference", "svm"]
_MARGIN = 10.0  # weight of the samples on the wrong side of the margin, against the width of the margin
_LEAST = 1e-9  # of the largest eigenvalue; what is smaller changes nothing


@torch.no_grad()
def find_directions(
    generator: Generator,
    method: Method = "sefa",
    *,
    layers: Sequence[int] | None = None,
    count: int = 10,
    classes: Sequence[str | int] | None = None,
) -> Directions:
    """Find the directions that change a model's objects most, strongest first. Nobody has named them: look at them.

    Args:
        generator: Any family whose scenes are made of w.
        method: "sefa" reads the weights of the layers, "pca" the spread of w.
        layers: Rows of `ws` that the directions move, and whose weights are read; all by default.
        count: How many, at most.
        classes: Names or indices whose w are looked at; the vectors of "sefa" do not depend on them. All by default.

    Returns:
        `sefa-1`, `sefa-2`, ..., or `pca-1`, ...: unit vectors at right angles to each other, with the standard
        deviation of w along each.

    Raises:
        InputError: An argument is out of its range.
        Gen3DError: The family does not say which weights read w ("sefa").
    """
    if method not in get_args(Method):
        raise InputError(f"method is {str(method)[:20]!r}; it must be {' or '.join(get_args(Method))}")
    if count < 1:
        raise InputError(
            f"count is {count}; it must be 1 or more (w of this model has {generator.config.w_dim} numbers)"
        )
    rows = check_layers(layers, generator)
    chosen = None if classes is None else generator.class_indices(range(len(classes)), classes)
    _, centred = sample_w(generator, rows[0], chosen)
    matrix = centred.T @ centred if method == "pca" else _styles_of(generator, rows)
    values, vectors = torch.linalg.eigh(matrix)
    strongest = [i for i in range(len(values) - 1, -1, -1) if values[i] > _LEAST * values[-1]][:count]
    found = torch.stack([_signed(vectors[:, i]) for i in strongest])
    entries = tuple(
        Direction(name=f"{method}-{i}", vector=vector, layers=rows, deviation=float(deviation), method=method)
        for i, (vector, deviation) in enumerate(zip(_on(found, generator), deviations(centred, found), strict=True), 1)
        if deviation > 0
    )
    return _directions(generator, entries)


@torch.no_grad()
def direction_between(
    generator: Generator,
    positive: Sequence[int],
    negative: Sequence[int],
    *,
    name: str,
    method: GroupMethod = "difference",
    class_name: str | int | None = None,
    layers: Sequence[int] | None = None,
) -> Directions:
    """Find what one group of samples has and another has not, as a set of one direction.

    Args:
        generator: Any family whose scenes are made of w.
        positive: Seeds whose objects have it.
        negative: Seeds whose objects have it not.
        name: What it is to be called.
        method: "difference" of the two means; "svm" looks at the samples that are hardest to tell apart.
        class_name: Class of all of them; then the direction is for that class. None lets each seed draw its own.
        layers: Rows of `ws` that the direction moves; all by default.

    Raises:
        InputError: A group is empty, a seed is in both, or the groups have one mean.
    """
    if method not in get_args(GroupMethod):
        raise InputError(f"method is {str(method)[:20]!r}; it must be {' or '.join(get_args(GroupMethod))}")
    if not positive or not negative:
        raise InputError(
            f"got {len(positive)} positive and {len(negative)} negative seeds; each group needs one at least"
        )
    both = sorted(set(positive) & set(negative))
    if both:
        raise InputError(f"seed {both[0]} is in both groups; a sample has it or has it not")
    rows = check_layers(layers, generator)
    index = None if class_name is None else generator.class_indices([0], [class_name])[0]
    groups = [_w_of(generator, seeds, class_name, rows[0]) for seeds in (positive, negative)]
    vector = groups[0].mean(0) - groups[1].mean(0)
    if method == "svm":
        vector = _separating(*groups)
    if not vector.norm() > 0:
        raise InputError("both groups have the same mean latent, so nothing leads from one to the other; choose others")
    vector = vector / vector.norm()
    _, centred = sample_w(generator, rows[0], None if index is None else [index])
    deviation = float(deviations(centred, vector[None])[0])
    if not deviation > 0:
        raise InputError("w does not vary along what separates the groups; choose other seeds")
    moved = _on(vector[None], generator)[0]
    return _directions(
        generator,
        (Direction(name=name, vector=moved, layers=rows, deviation=deviation, method=method, class_index=index),),
    )


def _styles_of(generator: Generator, rows: Sequence[int]) -> Float[Tensor, "w_dim w_dim"]:
    """Add up A^T A over the layers that read the chosen rows."""
    read = generator.style_weights()
    weights = [weight.detach().cpu().double() for row in rows for weight in read[row]]
    if not weights:
        raise Gen3DError(
            f"{generator.family} has no style weights at these layers, so they cannot be factorised; try method pca"
        )
    return sum((weight.T @ weight for weight in weights), weights[0].new_zeros(2 * weights[0].shape[1:]))


def _w_of(
    generator: Generator, seeds: Sequence[int], class_name: str | int | None, row: int
) -> Float[Tensor, "seeds w_dim"]:
    classes = None if class_name is None else [class_name] * len(seeds)
    return generator.latents(seeds, classes)[:, row].cpu().double()


def _separating(positive: Float[Tensor, "a w_dim"], negative: Float[Tensor, "b w_dim"]) -> Float[Tensor, " w_dim"]:
    """Give the normal of the plane between two groups: a support vector machine with squared hinge loss.

    |n|^2 / 2 + C mean((1 - y (n x + b))_+^2) is convex, so where the search ends does not depend on its start. x is
    scaled to unit variance first, so that the weight C means the same for every model.
    """
    from scipy.optimize import minimize

    x = torch.cat([positive, negative]).numpy()
    y = np.concatenate([np.ones(len(positive)), -np.ones(len(negative))])
    middle = x.mean(0)
    scale = np.sqrt(np.square(x - middle).sum(1).mean())
    if scale == 0:
        return torch.zeros(x.shape[1], dtype=torch.float64)
    x = (x - middle) / scale

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        normal, offset = parameters[:-1], parameters[-1]
        short = np.clip(1 - y * (x @ normal + offset), 0, None)
        pull = -2 * _MARGIN / len(y) * short * y
        slopes = np.concatenate([normal + pull @ x, [pull.sum()]])
        return float(normal @ normal / 2 + _MARGIN * np.square(short).mean()), slopes

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B")
    return torch.from_numpy(np.array(found.x[:-1]))


def _signed(vector: Float[Tensor, " w_dim"]) -> Float[Tensor, " w_dim"]:
    """Choose one of the two signs of an eigenvector: its largest entry is positive, on every machine."""
    return vector * vector[vector.abs().argmax()].sign()


def _on(vectors: Float[Tensor, "n w_dim"], generator: Generator) -> Float[Tensor, "n w_dim"]:
    return vectors.float().to(generator.device)


def _directions(generator: Generator, entries: tuple[Direction, ...]) -> Directions:
    return Directions(
        model_sha256=model_digest(generator),
        num_ws=generator.num_ws,
        w_dim=int(generator.config.w_dim),
        entries=entries,
    )
