"""Published TripoSR folders: what they say, and what is wrong with them, in one line each."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d_tools.checkpoints.configs.strict_yaml import parse_yaml
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructor_configs import TripoSRConfig
from gen3d_tools.generators.reconstructors.picture import on_grey, squared
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.workflows.convert import convert
from gen3d_tools.workflows.describe import describe_model
from tests.published_folders import CONFIG, checkpoint, network, write


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as refused:
        load_generator(folder, device="cpu")
    line = str(refused.value)
    assert "\n" not in line
    assert refused.value.exit_code == 4
    return line


def test_the_published_sizes_have_the_published_names_and_numbers():
    with torch.device("meta"):
        made = TripoSR(TripoSRConfig(), network().settings)
    shapes = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    assert len(shapes) == 549
    assert made.num_parameters() == 419_275_628
    assert shapes["backbone.transformer_blocks.15.attn2.to_k.weight"] == (1024, 768)
    assert shapes["backbone.transformer_blocks.0.ff.net.0.proj.weight"] == (8192, 1024)
    assert shapes["backbone.transformer_blocks.0.attn1.to_out.0.bias"] == (1024,)
    assert shapes["image_tokenizer.model.encoder.layer.11.attention.output.dense.weight"] == (768, 768)
    assert shapes["image_tokenizer.model.embeddings.position_embeddings"] == (1, 197, 768)
    assert shapes["tokenizer.embeddings"] == (3, 1024, 32, 32)
    assert shapes["post_processor.upsample.weight"] == (1024, 40, 2, 2)
    assert shapes["decoder.layers.18.weight"] == (4, 64)


def test_a_folder_is_loaded_described_and_converted_alike(tmp_path):
    folder = write(tmp_path / "published")
    made = load_generator(folder, device="cpu")
    assert made.state_dict().keys() == network().state_dict().keys()
    assert all(torch.equal(one, made.state_dict()[name]) for name, one in network().state_dict().items())
    told = describe_model(folder)
    assert (told.family, told.parameters) == ("triposr", made.num_parameters())
    assert told.network == made.config.to_dict()
    run = convert(folder, out=tmp_path / "model")
    assert "gen3d invert" in run.next_command
    again = load_generator(tmp_path / "model", device="cpu")
    assert again.config == made.config
    assert again.settings.provenance["sha256"] == made.settings.provenance["sha256"]
    picture = torch.rand(1, 3, 32, 32)
    assert torch.equal(again.planes(picture), made.planes(picture))


@pytest.mark.parametrize("name", ["config", "model"])
def test_a_folder_without_one_of_its_files_is_refused_by_name(tmp_path, name):
    line = refusal(write(tmp_path / "published", **{name: None}))
    assert f"holds no {name}." in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("num_layers: 1", "num_layers: 2", "transformer_blocks.1.norm1.weight is missing"),
        ("tsr.models.network_utils.NeRFMLP", "os.system", "decoder_cls is 'os.system'"),
        ("density_activation: exp", "density_activation: trunc_exp", "density_activation is 'trunc_exp'"),
        ("  density_activation: exp\n", "", "renderer lacks density_activation"),
        ("in_channels: 12", "in_channels: 13", "decoder.in_channels is 13"),
        ("plane_size: 4", "plane_size: four", "tokenizer.plane_size is 'four'"),
        ("plane_size: 4", "plane_size: 4\n  turns: 3", "turns"),
        ("cond_image_size: 32", "cond_image_size: 33", "33, which 16 does not divide"),
        ("cond_image_size: 32", "cond_image_size: 32\ncond_image_size: 32", "twice"),
        ("${tokenizer.num_channels}", "${tokenizer}", "names no plain value"),
        ("radius: 0.87", "radius: .inf", "inf"),
        ("radius: 0.87", "radius: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("radius: 0.87", "radius: &a 1\n  randomized: *a", "alias"),
        ("renderer:\n", "renderer: 3\nother:\n", "unknown|does not know"),
    ],
)
def test_a_config_that_means_something_else_is_refused(tmp_path, old, new, said):
    assert old in CONFIG
    line = refusal(write(tmp_path / "published", config=CONFIG.replace(old, new).encode()))
    assert any(part in line for part in said.split("|")), line


@pytest.mark.parametrize("data", [b"", b"- 1\n- 2", b"a: [", b"\xff\xfe\x00", b"{" * 5000, b"x: " + b"9" * 5000])
def test_what_is_no_table_of_yaml_is_refused(data):
    with pytest.raises(CheckpointError) as refused:
        parse_yaml(data, "config.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        "".join(f"k{number}: 1\n" for number in range(90_000)).encode(),
        b"a: [" + b"1," * 400_000 + b"1]",
        b"a: " + b"[" * 400_000 + b"]" * 400_000,
    ],
    ids=["keys", "values", "nesting"],
)
def test_a_config_that_is_too_large_is_refused_before_it_is_built(data):
    before = time.process_time()
    with pytest.raises(CheckpointError, match="more than 10,000 values, or more than 16 deep"):
        parse_yaml(data, "config.yaml")
    assert time.process_time() - before < 20  # a quadratic look-up took minutes


def test_a_config_file_of_another_size_than_any_is_not_read(tmp_path):
    comment = b"# " + b"-" * 2**16 + b"\n"
    assert "more than any config.yaml" in refusal(write(tmp_path / "published", config=comment + CONFIG.encode()))


@pytest.mark.parametrize("change", ["missing", "surplus", "shape", "nan", "text"])
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path, change):
    tensors = dict(network().state_dict())
    name = "backbone.proj_in.weight"
    if change == "missing":
        del tensors[name]
    elif change == "surplus":
        name = "optimizer.step"
        tensors[name] = torch.zeros(1)
    elif change == "shape":
        tensors[name] = torch.zeros(8, 9)
    elif change == "nan":
        tensors[name] = torch.full_like(tensors[name], float("nan"))
    else:
        tensors[name] = "no tensor"
    assert name in refusal(write(tmp_path / "published", model=checkpoint(tensors)))


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\x80\x02}q\x00.", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"]
)
def test_a_file_that_is_no_archive_is_refused(tmp_path, data):
    refusal(write(tmp_path / "published", model=data))


def test_a_module_instead_of_a_state_dict_is_refused_and_not_run(tmp_path):
    line = refusal(write(tmp_path / "published", model=checkpoint({"model": torch.nn.Linear(1, 1)})))
    assert "torch.nn" in line


def test_planes_in_bfloat16_are_the_same_planes_but_for_rounding():
    made = network()
    picture = torch.rand(1, 3, 32, 32)
    exact, rounded = made.planes(picture), made.planes(picture, dtype=torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert ((rounded - exact).square().mean() / exact.square().mean()).sqrt() < 0.05


def test_a_picture_of_another_size_is_a_slip_of_the_caller():
    with pytest.raises(ValueError, match="32 x 32"):
        network().planes(torch.rand(1, 3, 16, 16))


def test_the_object_stands_in_the_middle_on_grey():
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:21, 20:51] = (200, 0, 100, 255)  # 11 x 31 pixels, of which the published crop keeps 10 x 30
    square = squared(rgba, 0.75)
    assert square.shape == (40, 40, 4)
    assert (square[15:25, 5:35, 3] == 255).all()
    assert square[..., 3].sum() == 255 * 300
    grey = on_grey(square)
    assert tuple(grey[0, 0]) == (127, 127, 127)
    assert tuple(grey[20, 20]) == (200, 0, 100)


@pytest.mark.parametrize("side", [0, 1])
def test_a_picture_without_an_object_is_refused(side):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[3 : 3 + side, 2:6] = 255
    with pytest.raises(InputError, match="object"):
        squared(rgba)


def test_an_object_is_one_model_however_often_it_is_asked_for():
    made = network().reconstruct(torch.rand(3, 32, 32))
    first, second = made.fields(made.no_latents(2))
    points = torch.rand(5, 3) - 0.5
    assert torch.equal(first.raw_density(points), second.raw_density(points))
    assert made.pivot.ws.shape == (1, 0, 0)
    assert made.default_view.fov_y_deg == pytest.approx(40, abs=1e-4)
    outside = replace(first, outside="decode").raw_density(points + 5)
    assert torch.isfinite(outside).all()
    assert (first.density(points + 5) == 0).all()
