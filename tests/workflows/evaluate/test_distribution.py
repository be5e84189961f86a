"""What `gen3d eval` says of pictures is what torch-fidelity says of them; better models score better."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.cameras.poses import pose_of
from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.metrics.distribution.scores import frechet_of_features, precision_and_recall
from gen3d_tools.perception.feature_networks import Features
from gen3d_tools.system_libraries import import_fidelity
from gen3d_tools.training.data.labels import Labels
from gen3d_tools.workflows.evaluate.distribution import compare
from gen3d_tools.workflows.evaluate.distribution.cache import FeatureCache
from gen3d_tools.workflows.evaluate.distribution.networks import load_network
from gen3d_tools.workflows.evaluate.distribution.protocols import PROTOCOLS, protocol_named
from gen3d_tools.workflows.evaluate.distribution.samples import (
    SampleShard,
    drawn_cameras,
    drawn_classes,
    features_of_shard,
    look,
    pictures_of,
)
from gen3d_tools.workflows.evaluate.run import EvalOptions, evaluate
from tests.generators.small_families import FAMILIES

SHARD = SampleShard(model="tiny", model_sha256="", first=0, count=4, size=16)


def write_pictures(folder, count, *, seed=0, brightness=0.5, side=16):
    """Blobs of random colour; `brightness` moves the whole distribution."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    for index in range(count):
        colour = np.clip(random.normal(brightness, 0.2, (4, 4, 3)), 0, 1)
        picture = Image.fromarray((colour * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
        picture.save(folder / f"{index:04d}.png")
    return folder


@pytest.fixture(scope="module")
def encoder():
    return load_network(None)


def torch_fidelitys_numbers(first, second, encoder):
    """Let torch-fidelity do all of it: read the folders, batch, ask the same network, compute."""
    base = import_fidelity("feature_extractor_base").FeatureExtractorBase
    registry = import_fidelity("registry")

    class Extractor(base):
        def __init__(self, name, features_list, **kwargs):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return ("embedding",)

        def forward(self, pictures):
            return (encoder(pictures).values,)

    name = "gen3d-tools-test"
    registry.FEATURE_EXTRACTORS_REGISTRY.pop(name, None)
    registry.register_feature_extractor(name, Extractor)
    layers = {f"feature_layer_{metric}": "embedding" for metric in ("fid", "kid", "prc", "isc")}
    return import_fidelity("metrics").calculate_metrics(
        input1=str(first),
        input2=str(second),
        cuda=False,
        fid=True,
        kid=True,
        prc=True,
        isc=True,
        feature_extractor=name,
        kid_subset_size=40,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
        **layers,
    )


@pytest.mark.slow
def test_the_numbers_are_those_of_torch_fidelity_on_the_same_pictures(tmp_path, encoder):
    made = write_pictures(tmp_path / "made", 60)
    real = write_pictures(tmp_path / "real", 40, seed=1, brightness=0.6)
    run = evaluate(str(made), EvalOptions(against=real))
    found = {name: one["value"] for name, one in run.details["distribution"]["measures"].items()}
    theirs = torch_fidelitys_numbers(made, real, encoder)
    assert found["KD-encoder"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert found["precision-encoder"] == pytest.approx(theirs["precision"], rel=1e-6)
    assert found["recall-encoder"] == pytest.approx(theirs["recall"], rel=1e-6)
    # Theirs divides covariances by one less: (n - 1) / n lies between 39/40 and 59/60 here.
    assert found["FD-encoder"] == pytest.approx(theirs["frechet_inception_distance"], rel=1 / 40)
    assert not {"FID", "KID", "IS"} & set(found)


@pytest.mark.slow
def test_a_set_is_nearer_to_its_like(tmp_path):
    real = write_pictures(tmp_path / "real", 60)
    near = write_pictures(tmp_path / "near", 60, seed=1)
    far = write_pictures(tmp_path / "far", 60, seed=2, brightness=0.8)
    values = []
    for made in (real, near, far):
        run = evaluate(str(made), EvalOptions(against=real))
        values.append(run.details["distribution"]["measures"]["FD-encoder"]["value"])
    assert values[0] == pytest.approx(0, abs=1e-4)
    assert values[0] < values[1] < values[2]


@pytest.mark.slow
def test_spoilt_weights_score_worse_and_truncation_lowers_recall(encoder):
    """The bundled model against its own samples of other seeds: as it is, with noise on its weights, truncated."""
    shapes = load_generator("shapes", device="cpu")
    shard = replace(SHARD, size=16)

    def features(generator, seeds, psi=1.0):
        return look(encoder, pictures_of(generator, seeds, replace(shard, psi=psi), None)).values

    def spoilt(strength):
        generator = load_generator("shapes", device="cpu")
        random = torch.Generator().manual_seed(0)
        for parameter in generator.backbone.synthesis.parameters():
            noise = torch.randn(parameter.shape, generator=random)
            parameter.add_(strength * parameter.std() * noise if parameter.numel() > 1 else 0)
        return generator

    real = features(shapes, range(1000, 1032))
    own = features(shapes, range(32))
    distances = [frechet_of_features(own, real)]
    distances += [frechet_of_features(features(spoilt(strength), range(32)), real) for strength in (0.6, 1.5)]
    assert distances[0] < distances[1] < distances[2]
    truncated = features(shapes, range(32), psi=0.0)
    assert precision_and_recall(truncated, real)[1] < precision_and_recall(own, real)[1]


def test_shards_are_the_whole_however_it_is_cut(tiny_folder):
    whole = replace(SHARD, model=str(tiny_folder), count=5)
    parts = [replace(whole, first=0, count=2), replace(whole, first=2, count=3)]
    joined = Features.joined([features_of_shard(part) for part in parts])
    torch.testing.assert_close(joined.values, features_of_shard(whole).values)


def test_a_shard_is_plain_values(tiny_folder):
    shard = replace(SHARD, model=str(tiny_folder), labels="pictures", labels_sha256="ab")
    assert SampleShard.from_dict(json.loads(json.dumps(shard.to_dict()))) == shard
    with pytest.raises(InputError, match="unknown or missing: seed"):
        SampleShard.from_dict({**shard.to_dict(), "seed": 1})
    elsewhere = replace(shard, model="there", labels="there", device="cuda", network="there")
    assert elsewhere.key() == shard.key()
    changes = ({"model_sha256": "cd"}, {"model_config_sha256": "cd"}, {"network_sha256": "ef"})
    for change in (*changes, {"psi": 0.5}, {"size": 8}, {"cameras": "data"}):
        assert replace(shard, **change).key() != shard.key()


def test_shards_of_fewer_samples_are_those_of_more(monkeypatch):
    monkeypatch.setattr(compare, "SHARD", 4)
    few = compare.shards_of(replace(SHARD, count=8))
    many = compare.shards_of(replace(SHARD, count=10))
    assert many[:2] == few
    assert (many[2].first, many[2].count) == (8, 2)


def test_classes_are_spread_as_in_the_data(tiny_generator):
    labels = Labels(classes=np.array([0] * 30 + [1] * 90), class_names=("ball", "cube"))
    drawn = drawn_classes(tiny_generator, range(400), labels)
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.06)
    assert drawn[:5] == drawn_classes(tiny_generator, range(5), labels)
    assert np.mean(drawn_classes(tiny_generator, range(400), None)) == pytest.approx(0.5, abs=0.08)
    with pytest.raises(InputError, match="3 classes, the model 2"):
        drawn_classes(tiny_generator, [0], Labels(classes=np.zeros(1, int), class_names=("a", "b", "c")))


def test_cameras_are_those_of_the_data_where_it_has_some():
    generator = FAMILIES["threedgp"]().eval()
    angles = torch.tensor([[0.3, 1.4, 0.0], [-0.3, 1.7, 0.0]])
    poses = pose_of(drawn_cameras(generator, range(6), None, Labels(angles=angles)), yaw_zero="z")
    rows = {tuple(row) for row in poses.angles[:, :2].numpy().round(3).tolist()}
    assert rows == {tuple(row) for row in angles[:, :2].numpy().round(3).tolist()}
    posterior = drawn_cameras(generator, range(6), [0] * 6, None)
    torch.testing.assert_close(posterior.cam2world, generator.sample_cameras(6, range(6), classes=[0] * 6).cam2world)


@pytest.mark.parametrize("family", sorted({"geometry_aware", "eg3d", "epigraf", "threedgp"} & set(FAMILIES)))
def test_every_family_draws_its_samples(family):
    generator = FAMILIES[family]().eval().requires_grad_(False)
    [first, second] = pictures_of(generator, [0, 1], replace(SHARD, size=generator.image_resolution or 16), None)
    assert first.dtype == torch.uint8
    assert not torch.equal(first, second)


def test_protocols_are_those_of_the_papers():
    assert protocol_named("fid50k").samples == protocol_named("3dgp").samples == protocol_named("epigraf").samples
    assert protocol_named("fid50k").samples == 50_000
    assert protocol_named("fid2k").samples == 2048
    assert protocol_named("3dgp").cameras == "model"  # its camera generator moves prior cameras
    assert protocol_named("epigraf").cameras == "data"
    with pytest.raises(InputError, match=f"choose from {', '.join(PROTOCOLS)}"):
        protocol_named("fid10k")


KEY = {"what": "set", "set": "ab"}


class TestCache:
    def features(self):
        return Features(torch.arange(6.0).reshape(2, 3), torch.ones(2, 4))

    def test_what_is_kept_is_not_made_again(self, tmp_path):
        FeatureCache(tmp_path).features(KEY, self.features)
        kept = FeatureCache(tmp_path).features(KEY, lambda: pytest.fail("made again"))
        assert torch.equal(kept.values, self.features().values)
        assert torch.equal(kept.logits, self.features().logits)

    @pytest.mark.parametrize("spoil", [lambda data: data[:50], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
    def test_what_is_damaged_is_made_again_and_said(self, tmp_path, spoil):
        said = []
        cache = FeatureCache(tmp_path, said.append)
        cache.features(KEY, self.features)
        path = cache.path(KEY)
        path.write_bytes(spoil(path.read_bytes()))
        again = cache.features(KEY, self.features)
        assert torch.equal(again.values, self.features().values)
        assert said == [f"{path} is damaged; it is made again"]
        assert cache.has(KEY)

    def test_another_key_is_other_features(self, tmp_path):
        cache = FeatureCache(tmp_path)
        cache.features(KEY, self.features)
        assert not cache.has({**KEY, "set": "cd"})

    def test_without_a_folder_nothing_is_kept(self, tmp_path):
        made = []
        for _ in range(2):
            FeatureCache(None).features(KEY, lambda: made.append(1) or self.features())
        assert len(made) == 2
