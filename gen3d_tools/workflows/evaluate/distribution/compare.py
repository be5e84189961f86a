"""How alike the pictures of a model, or a set of pictures, are to a set of real ones."""

import functools
import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.kernels.compiling.threads import steady_torch
from gen3d_tools.metrics.distribution.scores import (
    IS_SPLITS,
    NEIGHBOUR,
    check_torch_fidelity,
    few_for,
    frechet_of_features,
    inception_score,
    kernel_distance,
    nearest_distances,
    precision_and_recall,
)
from gen3d_tools.perception.feature_networks import FeatureNetwork, Features
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.workflows.evaluate.distribution.cache import FeatureCache
from gen3d_tools.workflows.evaluate.distribution.samples import SHARD, SampleShard, features_of_shard, sample_picture
from gen3d_tools.workflows.evaluate.distribution.sets import batches, set_digest
from gen3d_tools.workflows.evaluate.distribution.spread import make_shards, shared_cache
from gen3d_tools.workflows.evaluate.measures import Curve, Group, Measure, Sheet
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions

SHOWN = 8
"""Best and worst samples on the page."""


@dataclass(frozen=True, eq=False)
class SetFeatures:
    """What a network says of a set of pictures, and the set."""

    features: Features
    pictures: PictureSet
    digest: str


@dataclass(frozen=True, eq=False)
class ModelFeatures:
    """What a network says of a model's samples, and how to draw one again."""

    features: Features
    shard: SampleShard  # the first; the others follow it


def features_of_set(
    pictures: PictureSet, network: FeatureNetwork, cache: FeatureCache, reporter: Reporter
) -> SetFeatures:
    """Let a network look at a set, or take what it said before."""
    digest = set_digest(pictures)
    size = pictures.section.resolution
    key = {"what": "set", "set": digest, "size": size, "network_sha256": network.sha256}

    def compute() -> Features:
        with reporter.progress(f"looking at {pictures.container.path.name}", pictures.count) as done:
            parts, count = [], 0
            for batch in batches(pictures):
                parts.append(network(batch))
                count += len(batch)
                done(count)
        return Features.joined(parts)

    return SetFeatures(cache.features(key, compute), pictures, digest)


def shards_of(whole: SampleShard) -> list[SampleShard]:
    """Cut samples into shards; those of an earlier run with fewer samples are the same."""
    last = whole.first + whole.count
    starts = range(whole.first, last, SHARD)
    return [_part(whole, start, min(SHARD, last - start)) for start in starts]


def _part(whole: SampleShard, first: int, count: int) -> SampleShard:
    return SampleShard(**{**whole.to_dict(), "first": first, "count": count})


def features_of_model(
    whole: SampleShard,
    cache: FeatureCache,
    run: Run,
    options: RunOptions,
) -> ModelFeatures:
    """Draw a model's samples shard by shard, here or by workers, or take those that were drawn before.

    Args:
        whole: All of the samples as one shard.
        cache: Keeps each shard as soon as it is made, so that an interrupted run goes on.
        run: The work is part of it; its reporter takes progress.
        options: How many workers there are.

    Raises:
        Gen3DError: A shard cannot be made.
    """
    shards = shards_of(whole)
    parts, count = [], 0
    with run.reporter.progress("drawing samples", whole.count) as done, shared_cache(cache, options) as shared:
        make_shards(shards, shared, run, options, done)
        for shard in shards:
            with steady_torch() if options.batch.asked else nullcontext():
                parts.append(shared.features(shard.key(), functools.partial(features_of_shard, shard)))
            count += shard.count
            done(count)
    return ModelFeatures(Features.joined(parts), whole)


def check_enough(made: int, real: int) -> None:
    """Refuse numbers of pictures of which distributions say nothing.

    Raises:
        InputError: There are too few.
    """
    if min(made, real) <= NEIGHBOUR:
        raise InputError(
            f"there are {made} and {real} pictures to compare; measures of distributions need at least "
            f"{NEIGHBOUR + 1} on either side, and say little below thousands"
        )


def compare_sets(
    made: SetFeatures | ModelFeatures,
    real: SetFeatures,
    network: FeatureNetwork,
    network_file: Path | None,
    *,
    sheets: bool = True,
) -> Group:
    """Compute every measure that the network allows.

    Args:
        made: Of the model's samples, or of a set of pictures.
        real: Of the set to compare with.
        network: Whose features they are.
        network_file: Where it came from.
        sheets: Draw the best and the worst samples for a page.

    Raises:
        InputError: There are too few pictures.
        MissingDependencyError: torch-fidelity is not installed.
    """
    check_torch_fidelity()
    ours, theirs = made.features.values, real.features.values
    check_enough(len(ours), len(theirs))
    few = few_for(ours.shape[1], [len(ours), len(theirs)])
    names = ("FID", "KID", "precision", "recall")
    if not network.is_inception:
        names = ("FD-encoder", "KD-encoder", "precision-encoder", "recall-encoder")
    kid, kid_spread = kernel_distance(ours, theirs)
    precision, recall = precision_and_recall(ours, theirs)
    measures = [
        Measure(name=names[0], value=frechet_of_features(ours, theirs), better="lower", note="biased" if few else ""),
        Measure(name=names[1], value=kid, spread=kid_spread, better="lower"),
        Measure(name=names[2], value=precision, better="higher"),
        Measure(name=names[3], value=recall, better="higher"),
    ]
    if made.features.logits is not None and len(made.features) >= IS_SPLITS:
        score, spread = inception_score(made.features.logits)
        measures.insert(2, Measure(name="IS", value=score, spread=spread, better="higher"))
    facts = _facts(made, real, network, network_file)
    if few:
        facts["bias"] = few
    distances = nearest_distances(ours, theirs)
    group = Group(name="distribution", title="Distribution", measures=measures, facts=facts)
    group.curves.append(_nearest_curve(distances, theirs))
    if sheets:
        group.sheets += _extremes(made, distances)
    return group


def _facts(
    made: SetFeatures | ModelFeatures, real: SetFeatures, network: FeatureNetwork, file: Path | None
) -> dict[str, Any]:
    """What the numbers were made with."""
    facts: dict[str, Any] = {
        "network": "the bundled encoder: not FID, compares with nothing published" if file is None else file.name,
        "network_kind": network.kind,
        "network_sha256": network.sha256,
        "against": str(real.pictures.container.path),
        "against_sha256": real.digest,
        "against_pictures": len(real.features),
        "pictures": len(made.features),
        "size": real.pictures.section.resolution,
    }
    if isinstance(made, ModelFeatures):
        facts |= {"seeds": [made.shard.first, made.shard.first + made.shard.count - 1], "psi": made.shard.psi}
    return facts


def _nearest_curve(distances: Any, real: torch.Tensor) -> Curve:
    """How far samples are from the nearest real picture, beside how far real ones are from each other."""
    few = real[:2000]
    between = torch.cdist(few, few)
    between.fill_diagonal_(torch.inf)
    return Curve(
        title="Distance to the nearest real picture",
        across="distance of features",
        series={
            "samples": [float(one) for one in distances],
            "real pictures": [float(one) for one in between.amin(1)],
        },
        caption="Where both agree, samples lie as densely among the real pictures as those among themselves.",
    )


def _extremes(made: SetFeatures | ModelFeatures, distances: Any) -> list[Sheet]:
    """The samples that are nearest to a real picture, and those farthest from all."""
    order = np.argsort(distances, kind="stable")
    count = min(SHOWN, len(order) // 2)
    sheets = []
    for title, chosen in (
        ("Most like a real picture", order[:count]),
        ("Least like any real picture", order[::-1][:count]),
    ):
        row = [_picture(made, int(index)) for index in chosen]
        columns = [_label(made, int(index), float(distances[index])) for index in chosen]
        sheets.append(Sheet(title=title, rows=[row], columns=columns))
    return sheets


def _picture(made: SetFeatures | ModelFeatures, index: int) -> torch.Tensor:
    if isinstance(made, SetFeatures):
        return made.pictures.images(index, index + 1)[0]
    return sample_picture(made.shard, made.shard.first + index).float() / 255


def _label(made: SetFeatures | ModelFeatures, index: int, distance: float) -> str:
    name = made.pictures.names[index] if isinstance(made, SetFeatures) else f"seed {made.shard.first + index}"
    return f"{name[-24:]}\n{distance:.2f}"


def labels_digest(pictures: PictureSet) -> str:
    """Digest of the classes and cameras of a set: what samples take over from it."""
    found = hashlib.sha256()
    labels = pictures.labels
    for one in (labels.classes, labels.cameras, labels.angles):
        found.update(b"-" if one is None else np.ascontiguousarray(one).tobytes())
    return found.hexdigest()
