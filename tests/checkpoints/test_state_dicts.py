"""Snapshots of state dicts in torch's archives: what is read, and what is refused with which sentence."""

import io
import zipfile
from collections import OrderedDict

import pytest
import torch

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.errors import CheckpointError
from tests.support.official_archives import archive_bytes, snapshot
from tests.support.official_models import GOLDEN

TENSORS = {
    "nerfmlp.fv.const": torch.arange(16.0).reshape(1, 2, 2, 2, 2),
    "nerfmlp.fg_density.weight": torch.ones(1, 3),
}


@pytest.fixture
def read(tmp_path):
    def run(content, **options):
        path = tmp_path / "snapshot.pth"
        path.write_bytes(content if isinstance(content, bytes) else archive_bytes(content))
        return read_official(path, **options)

    return run


def test_tensors_and_arguments_come_out_as_they_were_saved(read):
    model = read(snapshot({"z_dim": 8, "conv_clamp": None, "fv_cfg": {"feat_res": 4}}, TENSORS))
    assert model.family == "volumegan"
    assert model.init_kwargs == {"z_dim": 8, "conv_clamp": None, "fv_cfg": {"feat_res": 4}}
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in TENSORS.items())
    assert model.warnings == []


def test_a_file_of_the_published_save_routine_is_read_with_its_dicts_of_attributes():
    model = read_official(GOLDEN / "volumegan" / "official_tiny.pth")
    assert model.init_kwargs["ps_cfg"]["camera_dist"] == "gaussian"
    assert "model_type" not in model.init_kwargs
    assert len(model.sha256) == 64


def test_views_half_precision_and_other_devices_are_resolved(read):
    base = torch.arange(8, dtype=torch.float16)
    state = {**TENSORS, "nerfmlp.view": base[1::2], "nerfmlp.turned": base.reshape(2, 4).T}
    found = read(snapshot({}, state)).tensors
    assert found["nerfmlp.view"].tolist() == [1, 3, 5, 7]
    assert torch.equal(found["nerfmlp.turned"], base.reshape(2, 4).T.float())


def test_the_averaged_generator_is_preferred_and_another_is_named(read):
    both = snapshot({"z_dim": 1}, TENSORS)
    other = snapshot({"z_dim": 2}, TENSORS, "generator")
    for key in both:
        both[key] |= other[key]
    assert read(both).init_kwargs == {"z_dim": 1}
    model = read(other)
    assert model.init_kwargs == {"z_dim": 2}
    assert "not averaged" in model.warnings[0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ref_representation_generator.const", "mlp.mlp.0.weight", "post_cnn.layer1.weight"], "rewritten in Carver"),
        (["nerfmlp.fv.const", "nerfmlp.bg_mlps.0.weight"], "background branch"),
        (["nerfmlp.fv.const"], "incomplete"),
        (["mapping.dense0.weight", "synthesis.layer0.weight"], "a StyleGAN, a network of flat pictures"),
        (["input_blocks.0.0.weight", "time_embed.0.weight"], "ADM"),
        (["blocks.0.0.conv1.weight", "linear.weight"], "BigGAN"),
        (["encoder.weight"], "no radiance field"),
    ],
)
def test_other_networks_are_refused_with_what_they_are(read, names, message):
    tensors = {name: torch.ones(1) for name in names}
    for content in (snapshot({}, tensors), OrderedDict(tensors)):
        with pytest.raises(CheckpointError, match=message) as refusal:
            read(content)
        assert "\n" not in str(refusal.value)


def test_what_is_no_snapshot_says_what_was_found(read):
    with pytest.raises(CheckpointError, match="holds a list"):
        read([1, 2])
    with pytest.raises(CheckpointError, match="holds epoch, but no models"):
        read({"epoch": 3})
    with pytest.raises(CheckpointError, match="without the snapshot around it"):
        read(TENSORS)
    with pytest.raises(CheckpointError, match="lacks the settings of generator_smooth"):
        read({"models": {"generator_smooth": TENSORS}})
    with pytest.raises(CheckpointError, match="'StyleGAN2Generator', not a VolumeGANGenerator"):
        read(snapshot({"model_type": "StyleGAN2Generator"}, TENSORS))
    with pytest.raises(CheckpointError, match=r"tensor nerfmlp.fv.const holds NaN"):
        read(snapshot({}, {**TENSORS, "nerfmlp.fv.const": torch.tensor([float("nan")])}))


def test_globals_outside_the_list_are_refused_by_name_and_kept_as_placeholders_on_request(read):
    content = snapshot({}, TENSORS) | {"when": torch.nn.Linear(1, 1).state_dict, "extra": io.StringIO}
    del content["when"]
    with pytest.raises(CheckpointError, match=r"refers to _?io\.StringIO.*nothing was run"):
        read(content)
    assert "StringIO" in read(content, allow_unknown=True).warnings[0]


def _parts(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(parts, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: _zipped(parts, zipfile.ZIP_DEFLATED), "compressed"),
        (lambda parts: _zipped({name: data for name, data in parts.items() if "data/0" not in name}), "is missing in"),
        (lambda parts: _zipped({**parts, "archive/data/0": b"1234"}), "declares 16 elements and holds 4 bytes"),
        (lambda parts: _zipped({**parts, "archive/byteorder": b"big"}), "big-endian"),
        (lambda parts: _zipped({"other/file.txt": b""}), "with no data.pkl"),
        (lambda parts: _zipped({**parts, "twin/data.pkl": b""}), "with 2 data.pkl"),
    ],
)
def test_archives_that_are_not_as_torch_writes_them_are_refused(read, change, message):
    parts = _parts(archive_bytes(snapshot({}, TENSORS)))
    assert all(name.startswith("archive/") for name in parts)
    with pytest.raises(CheckpointError, match=message):
        read(change(parts))


def test_a_flipped_bit_among_the_weights_is_noticed(read):
    data = bytearray(archive_bytes(snapshot({}, TENSORS)))
    place = data.find(TENSORS["nerfmlp.fv.const"].numpy().tobytes())
    data[place + 5] ^= 1
    with pytest.raises(CheckpointError, match=r"nerfmlp.fv.const.*checksum"):
        read(bytes(data))


def test_the_layout_before_archives_is_refused(read):
    file = io.BytesIO()
    torch.save(snapshot({}, TENSORS), file, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before PyTorch 1\.6"):
        read(file.getvalue())
