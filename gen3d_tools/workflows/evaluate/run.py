"""`gen3d eval`: how good a model or a set of pictures is, as the numbers that papers report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import choose_device
from gen3d_tools.generators.source import config_digest, find_source
from gen3d_tools.metrics.distribution.scores import check_torch_fidelity
from gen3d_tools.perception.feature_networks import FeatureNetwork
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.wording import option
from gen3d_tools.workflows.evaluate.depth_maps import compare_depth_maps, shared_names
from gen3d_tools.workflows.evaluate.distribution.cache import FeatureCache
from gen3d_tools.workflows.evaluate.distribution.compare import (
    check_enough,
    compare_sets,
    features_of_model,
    features_of_set,
    labels_digest,
)
from gen3d_tools.workflows.evaluate.distribution.networks import load_network
from gen3d_tools.workflows.evaluate.distribution.protocols import DEFAULT, protocol_named
from gen3d_tools.workflows.evaluate.distribution.samples import SampleShard
from gen3d_tools.workflows.evaluate.distribution.sets import count_pictures, is_set, open_set
from gen3d_tools.workflows.evaluate.geometry import GeometryPlan, geometry
from gen3d_tools.workflows.evaluate.measures import Group
from gen3d_tools.workflows.evaluate.report import cache_folder, claim_report, finish_report
from gen3d_tools.workflows.running.batches import load_here
from gen3d_tools.workflows.running.reporting import Reporter
from gen3d_tools.workflows.running.runs import Run, RunOptions
from gen3d_tools.workflows.samples.selection import check_psi

MAX_SAMPLES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is measured, and how."""

    against: Path | None = None  # the set of real pictures
    geometry: bool = False
    network: Path | None = None  # the Inception network's file; None = the bundled encoder
    protocol: str | None = None
    samples: int | None = None  # instead of the protocol's
    size: int | None = None  # pixels along a side; None = the pictures' own
    psi: float = 1.0
    cache: Path | None = None

    def check(self) -> None:
        """Refuse what cannot be meant, before any work.

        Raises:
            InputError: There is nothing to measure, or a value is out of its range.
        """
        if self.against is None and not self.geometry:
            raise InputError(
                f"there is nothing to measure: give {option('against')} a folder of real pictures, "
                f"or {option('geometry', True)}"
            )
        if self.protocol is not None:
            protocol_named(self.protocol)
        if self.against is None:
            _refuse_unused(
                {option("protocol"): self.protocol is not None, option("cache"): self.cache is not None},
                f"that is for a comparison with real pictures; leave it out, or name them: {option('against')}",
            )
        if self.samples is not None and not 1 <= self.samples <= MAX_SAMPLES:
            raise InputError(f"samples is {self.samples}; it must lie in 1..{MAX_SAMPLES:,}")
        if self.size is not None and not 8 <= self.size <= 2048:
            raise InputError(f"size is {self.size}; it must lie in 8..2048 pixels")
        check_psi(self.psi)


def evaluate(
    subject: str, what: EvalOptions, *, options: RunOptions | None = None, reporter: Reporter | None = None
) -> Run:
    """Measure a model, or a set of pictures.

    Args:
        subject: Whatever `load_generator` takes, or a folder or .zip of pictures.
        what: Which measures, and how.
        options: A folder for the page and the numbers; the device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    options, reporter = options or RunOptions(), reporter or Reporter()
    if what.against is None and is_set(Path(subject)):
        raise InputError(
            f"{subject} holds {count_pictures(Path(subject)) or 'no'} pictures and no model: a set of pictures is "
            f"measured against real ones; name another one to compare it with: {option('against', 'FOLDER')}"
        )
    what.check()
    if what.against is None:
        _check_workers(options, f"geometry alone is measured; leave it out, or compare pictures: {option('against')}")
    run = Run("eval", "", {"subject": subject, **_plain(vars(what))}, dry_run=options.dry_run, reporter=reporter)
    paths = claim_report(run, options)
    cache_folder(what.cache, options)
    if what.against is not None:
        check_torch_fidelity()
    if is_set(Path(subject)):
        groups = _evaluate_set(Path(subject), what, options, run)
    else:
        run.model = subject
        groups = _evaluate_model(subject, what, options, run)
    return finish_report(run, f"{Path(subject).name}, measured", groups, paths)


def _refuse_unused(said: Mapping[str, bool], why: str) -> None:
    """Refuse options that say nothing here.

    Args:
        said: Options by name, with whether anything was said of each.
        why: What they are for, and what to do.

    Raises:
        InputError: There is one.
    """
    if unused := [name for name, is_said in said.items() if is_said]:
        raise InputError(f"{', '.join(unused)}: {why}")


def _check_workers(options: RunOptions, instead: str) -> None:
    """Refuse workers where there is nothing to share out, which is anything but the pictures of a model."""
    said = {option("workers"): options.batch.workers is not None, option("ray"): options.batch.ray is not None}
    _refuse_unused(said, f"workers draw the samples of a model, and {instead}")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _evaluate_set(subject: Path, what: EvalOptions, options: RunOptions, run: Run) -> list[Group]:
    """Compare a set of pictures with another."""
    assert what.against is not None, "which is checked before any work"
    if what.protocol is not None or what.samples is not None:
        raise InputError("a protocol and a number of samples are for models; all pictures of a set are measured")
    _check_workers(options, "two sets of pictures are compared; leave it out")
    _refuse_unused(
        {option("psi"): what.psi != EvalOptions.psi, option("base"): options.base is not None},
        f"that is for models, and {subject} is a set of pictures; leave it out",
    )
    made = open_set(subject, what.size, depth=what.geometry)
    real = open_set(what.against, what.size, depth=what.geometry)
    _check_sizes(made, real, what.size)
    check_enough(made.count, real.count)
    if what.geometry:
        shared_names(made, real)
    device = str(choose_device(options.device))
    network = load_network(what.network, device=device)
    if run.dry_run:
        return []
    groups = [_compare_sets(made, real, network, what, options, run.reporter)]
    if what.geometry:
        groups.append(compare_depth_maps(made, real))
    return groups


def _compare_sets(
    made: PictureSet,
    real: PictureSet,
    network: FeatureNetwork,
    what: EvalOptions,
    options: RunOptions,
    reporter: Reporter,
) -> Group:
    cache = FeatureCache(cache_folder(what.cache, options), reporter.say)
    theirs = features_of_set(real, network, cache, reporter)
    ours = features_of_set(made, network, cache, reporter)
    return compare_sets(ours, theirs, network, what.network, sheets=options.out is not None)


def _check_sizes(made: PictureSet, real: PictureSet, size: int | None) -> None:
    if size is None and made.side != real.side:
        raise InputError(
            f"{made.container.path} holds pictures of {made.side} x {made.side}, {real.container.path} of "
            f"{real.side} x {real.side}; bring them to one size with {option('size', min(made.side, real.side))}"
        )


def _evaluate_model(subject: str, what: EvalOptions, options: RunOptions, run: Run) -> list[Group]:
    """Measure a model's pictures, or its geometry, or both."""
    generator = load_here(subject, options)
    if generator.pivot is not None:
        raise InputError(f"{subject} is one object, not a distribution of them; measure the model it was tuned from")
    real = None if what.against is None else open_set(what.against, _model_size(generator, what))
    if real is not None:
        check_enough(what.samples or protocol_named(what.protocol or DEFAULT).samples, real.count)
    network = load_network(what.network, device=str(generator.device))
    if run.dry_run:
        return []
    groups = []
    if real is not None:
        groups.append(_compare_model(generator, real, network, what, options, run))
    if what.geometry:
        plan = GeometryPlan(size=what.size, psi=what.psi)
        if what.samples is not None:
            plan = GeometryPlan(flatness_samples=what.samples, view_samples=what.samples, size=what.size, psi=what.psi)
        groups.append(geometry(generator, network, plan, run.reporter))
    return groups


def _model_size(generator: Generator, what: EvalOptions) -> int | None:
    """Side of the pictures: what is asked for, or the model's; any, where the model has none."""
    return what.size or generator.image_resolution


def _compare_model(
    generator: Generator,
    real: PictureSet,
    network: FeatureNetwork,
    what: EvalOptions,
    options: RunOptions,
    run: Run,
) -> Group:
    protocol = protocol_named(what.protocol or DEFAULT)
    assert run.model_sha256 is not None, "a model has a digest"
    labelled = any(one is not None for one in (real.labels.classes, real.labels.cameras, real.labels.angles))
    whole = SampleShard(
        model=run.model,
        model_sha256=run.model_sha256,
        model_config_sha256=config_digest(find_source(run.model), options.base),
        base=options.base,
        first=0,
        count=what.samples or protocol.samples,
        size=real.section.resolution,
        psi=what.psi,
        cameras=protocol.cameras,
        labels=str(real.container.path) if labelled else None,
        labels_sha256=labels_digest(real) if labelled else None,
        network=None if what.network is None else str(what.network),
        network_sha256=network.sha256,
        device=str(generator.device),
    )
    cache = FeatureCache(cache_folder(what.cache, options), run.reporter.say)
    theirs = features_of_set(real, network, cache, run.reporter)
    ours = features_of_model(whole, cache, run, options)
    group = compare_sets(ours, theirs, network, what.network, sheets=options.out is not None)
    group.facts |= {"protocol": protocol.name, "protocol_says": protocol.about, "samples": whole.count}
    return group
