import json
import math
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gen3d_tools.checkpoints.native import ENCODER_NAME
from gen3d_tools.errors import CheckpointError
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder, load_encoder, save_encoder
from gen3d_tools.perception.out_of_distribution import OutOfDistributionScore
from gen3d_tools.perception.prediction import Prediction


def tiny_config(**changes):
    sizes = {"image_size": 16, "widths": (4, 6), "refine_blocks": (1, 1), "yaw_bins": 24, "neck_channels": 3}
    values = {"class_names": ("ball", "cube"), "z_dim": 8, "pitch_min_deg": -10.0, "pitch_max_deg": 60.0, "hidden": 12}
    return EncoderConfig(**(values | sizes | changes))


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PhotoEncoder(tiny_config()).eval().requires_grad_(False)


@pytest.fixture
def model_folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "model")


def prediction_of(yaw_logits):
    batch = len(yaw_logits)
    zero = torch.zeros(batch)
    z, framing, embedding = torch.zeros(batch, 8), torch.zeros(batch, 4), torch.zeros(batch, 12)
    return Prediction(torch.zeros(batch, 2), yaw_logits, zero, z, framing, zero, zero, zero, embedding, ())


def test_answers_have_their_ranges_and_shapes(encoder):
    answer = encoder(torch.rand(3, 3, 16, 16))
    assert answer.class_logits.shape == (3, 2)
    assert answer.yaw_logits.shape == (3, 24)
    assert answer.framing.shape == (3, 4)
    assert [maps.shape for maps in answer.features] == [(3, 4, 8, 8), (3, 6, 4, 4)]
    torch.testing.assert_close(answer.z.square().mean(1), torch.ones(3), rtol=1e-3, atol=0)
    assert ((answer.familiarity >= 0) & (answer.familiarity <= 1)).all()


def test_a_picture_is_judged_alike_alone_and_in_a_batch(encoder):
    images = torch.rand(4, 3, 16, 16)
    together, alone = encoder(images), encoder(images[2:3])
    torch.testing.assert_close(alone.z[0], together.z[2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone.yaw_logits[0], together.yaw_logits[2], rtol=1e-4, atol=1e-5)


def test_a_larger_picture_is_reduced_by_area(encoder):
    small = torch.rand(1, 3, 16, 16)
    large = small.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    torch.testing.assert_close(encoder(large).z, encoder(small).z, rtol=1e-4, atol=1e-5)


def test_a_smaller_picture_is_accepted(encoder):
    assert encoder(torch.rand(1, 3, 9, 9)).features[0].shape[-1] == 8


def test_the_likeliest_class_is_assumed_unless_one_is_named(encoder):
    images = torch.rand(4, 3, 16, 16)
    free = encoder(images)
    torch.testing.assert_close(encoder(images, free.class_index).z, free.z)
    assert not torch.allclose(encoder(images, 1 - free.class_index).z, free.z)


def test_feature_maps_carry_gradients_to_the_picture(encoder):
    images = torch.rand(1, 3, 24, 24, requires_grad=True)
    sum(maps.square().mean() for maps in encoder.features(images)).backward()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("yaw", [-179.0, -90.0, 0.0, 33.0, 178.5])
def test_a_single_peak_is_found_to_a_fraction_of_a_bin(yaw):
    centers = (torch.arange(72) + 0.5) * 5 - 180
    gap = (centers - yaw + 180) % 360 - 180
    found = prediction_of(-0.5 * (gap / 5)[None] ** 2).yaw_deg
    assert abs((float(found) - yaw + 180) % 360 - 180) < 0.5


def test_modes_come_likeliest_first_and_apart():
    logits = torch.full((1, 72), -20.0)
    logits[0, 10], logits[0, 11], logits[0, 46] = 1.0, 0.9, 1.2
    yaws, masses = prediction_of(logits).yaw_modes(2)
    assert yaws[0].tolist() == pytest.approx([10.97 * 5 - 180, 46.5 * 5 - 180], abs=0.1)
    assert masses[0, 0] > masses[0, 1]
    assert masses.sum() == pytest.approx(1, abs=1e-4)


def test_what_was_saved_comes_back(encoder, model_folder):
    path = save_encoder(encoder, model_folder, dtype=torch.float32)
    images = torch.rand(2, 3, 16, 16)
    loaded = load_encoder(model_folder)
    assert path.name == ENCODER_NAME
    assert loaded.config == encoder.config
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    torch.testing.assert_close(loaded(images).yaw_logits, encoder(images).yaw_logits)


def test_half_precision_changes_little(encoder, model_folder):
    save_encoder(encoder, model_folder)
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(load_encoder(model_folder)(images).z, encoder(images).z, rtol=0.02, atol=0.02)


def test_an_encoder_is_replaced(encoder, model_folder):
    save_encoder(encoder, model_folder)
    save_encoder(PhotoEncoder(tiny_config(hidden=5)), model_folder)
    assert load_encoder(model_folder).config.hidden == 5


def test_a_model_without_an_encoder_has_none(model_folder):
    assert load_encoder(model_folder) is None


def test_the_model_still_loads_beside_its_encoder(encoder, model_folder):
    import gen3d_tools as g3

    save_encoder(encoder, model_folder)
    assert g3.load_generator(model_folder, device="cpu").class_names == ("ball", "cube")


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"class_names": ("ball", "cone")}, "cone"), ({"z_dim": 9}, "z_dim")],
)
def test_an_encoder_of_another_model_is_refused(model_folder, changes, word):
    save_encoder(PhotoEncoder(tiny_config(**changes)), model_folder)
    with pytest.raises(CheckpointError, match=word):
        load_encoder(model_folder)


def rewrite(folder, *, tensors=lambda found: found, config=lambda found: found, version="1"):
    path = folder / ENCODER_NAME
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    table = config(json.loads(metadata["config"]))
    text = table if isinstance(table, str) else json.dumps(table)
    save_file(tensors(load_file(path)), path, metadata=metadata | {"config": text, "version": version})


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"version": "2"}, "2"),
        ({"config": lambda c: "{"}, "JSON"),
        ({"config": lambda c: "[]"}, "table"),
        ({"config": lambda c: c | {"depth": 3}}, "depth"),
        ({"config": lambda c: c | {"widths": "wide"}}, "widths"),
        ({"config": lambda c: c | {"hidden": 1_000_000}}, "hidden|summary"),
        ({"config": lambda c: c | {"image_size": 18}}, "18"),
        ({"config": lambda c: c | {"refine_blocks": [1]}}, "stage"),
        ({"config": lambda c: c | {"refine_blocks": [1, 100_000]}}, "refine_blocks is"),
        ({"config": lambda c: c | {"pitch_max_deg": 1e300}}, "pitch_max_deg is"),
        ({"config": lambda c: c | {"pitch_max_deg": -20.0}}, "pitch"),
        ({"tensors": without("z_head.bias")}, "z_head.bias"),
        ({"tensors": lambda t: t | {"z_head.bias": torch.zeros(3)}}, "z_head.bias"),
        ({"tensors": lambda t: t | {"z_head.bias": torch.full((8,), math.nan)}}, "NaN"),
    ],
)
def test_an_edited_file_is_refused_in_one_line(encoder, model_folder, change, word):
    save_encoder(encoder, model_folder)
    rewrite(model_folder, **change)
    with pytest.raises(CheckpointError, match=word) as caught:
        load_encoder(model_folder)
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_refused(encoder, model_folder):
    path = save_encoder(encoder, model_folder)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="corrupt"):
        load_encoder(model_folder)


@pytest.fixture
def judge():
    """Two classes of points in a plane: around (0, 0) and (10, 0), wide in x and narrow in y."""
    judge = OutOfDistributionScore(2, 2, 2)
    points, labels = known_points(0)
    judge.fit(points, labels)
    fresh, _ = known_points(1)
    judge.calibrate(judge.distance(fresh), torch.linspace(1, 5, len(fresh)), torch.linspace(-3, 2, 1001))
    return judge


def known_points(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(4000) % 2
    spread = torch.randn(4000, 2, generator=generator) * torch.tensor([1.0, 0.1])
    return spread + torch.stack([10.0 * labels, torch.zeros(4000)], dim=1), labels


def familiarity_at(judge, x, y, logit=5.0):
    return float(judge([torch.tensor([x, y]).reshape(1, 2, 1, 1)], torch.tensor([logit])))


def test_familiarity_is_high_at_every_class_and_low_away_from_all(judge):
    assert familiarity_at(judge, 0.0, 0.0) > 0.9
    assert familiarity_at(judge, 10.0, 0.0) > 0.9
    assert familiarity_at(judge, 5.0, 0.0) < 0.1


def test_distance_is_measured_in_the_spread_of_the_known(judge):
    assert familiarity_at(judge, 2.0, 0.0) > 0.5
    assert familiarity_at(judge, 0.0, 2.0) < 0.01


def test_unlikeness_counts_in_distances_of_the_border(judge):
    at = [judge.unlikeness([torch.tensor([[[[0.0]], [[y]]]])]) for y in (0.2, 2.0, 4.0)]
    assert at[0] < 1 < at[1]
    torch.testing.assert_close(at[2], 2 * at[1], rtol=0.02, atol=0)


def test_one_percent_of_the_known_fall_below_the_border(judge):
    fresh, _ = known_points(2)
    low = judge([fresh[:, :, None, None]], torch.full((len(fresh),), 9.0)) < 0.5
    assert float(low.float().mean()) == pytest.approx(0.01, abs=0.006)


def test_strangers_place_the_border_of_the_head(judge):
    at = [familiarity_at(judge, 0.0, 0.0, logit=logit) for logit in (1.9, 1.965, 2.0, 3.0)]
    assert at == sorted(at)
    assert at[1] == pytest.approx(0.5, abs=0.01)  # seven in a thousand strangers lie above 1.965
    assert at[3] == pytest.approx(0.88, abs=0.01)  # as half of the known do


def test_the_doubtful_witness_counts(judge):
    assert familiarity_at(judge, 0.0, 0.0, logit=-5.0) < 0.01


def test_an_encoder_of_lenses_answers_within_their_range_and_others_say_nothing(encoder):
    assert encoder(torch.rand(2, 3, 16, 16)).fov_deg is None
    telling = PhotoEncoder(tiny_config(fov_min_deg=10.0, fov_max_deg=60.0)).eval()
    # Far apart, whatever the fresh weights are: half of the answers at either end.
    telling.fov_head.register_forward_hook(lambda _, __, answers: 1e4 * (answers - answers.mean()))
    with torch.no_grad():
        fov = telling(torch.rand(16, 3, 16, 16)).fov_deg
    assert ((fov >= 10) & (fov <= 60)).all()
    assert fov.unique().numel() > 1


@pytest.mark.parametrize(("low", "high"), [(10.0, None), (None, 60.0), (60.0, 10.0), (0.0, 60.0), (10.0, 180.0)])
def test_a_range_of_lenses_is_whole_and_possible(low, high):
    with pytest.raises(ValueError, match="fov_min_deg"):
        tiny_config(fov_min_deg=low, fov_max_deg=high)


def test_an_encoder_stored_before_lenses_were_told_loads(encoder, model_folder):
    path = save_encoder(encoder, model_folder)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    older = {name: value for name, value in config.items() if not name.startswith("fov_")}
    assert len(older) == len(config) - 2
    save_file(load_file(path), path, metadata | {"config": json.dumps(older)})
    assert load_encoder(model_folder).config.fov_min_deg is None
