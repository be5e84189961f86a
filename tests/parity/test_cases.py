"""The harness itself: it finds cases, it reads notes, and it can fail."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tests.parity.cases import Report, cut, discover, noted


@pytest.fixture
def case(tmp_path):
    """A case of a family, of two files, with one buffer left out and one output stored in part."""
    folder = tmp_path / "family"
    folder.mkdir()
    whole = torch.arange(16.0).reshape(4, 4)
    save_file({"params.a.weight": torch.ones(2, dtype=torch.float16)}, folder / "x.safetensors")
    save_file(
        {"out.picture_strided": whole[::2, ::2].contiguous(), "out.number": whole[0]}, folder / "x.more.safetensors"
    )
    info = {
        "files": ["x.safetensors", "x.more.safetensors"],
        "params_omitted": {"a.noise_const": [3]},
        "notes": {"picture": {"strided": "[..., ::2, ::2]"}},
    }
    (folder / "x.json").write_text(json.dumps(info))
    [found] = discover(tmp_path)
    return found


def test_cases_are_found_with_all_their_files(case):
    assert str(case) == "family-x"
    assert case.params["a.weight"].dtype == torch.float32
    assert case.params["a.noise_const"].tolist() == [0, 0, 0]
    assert set(case.tensors) == {"params.a.weight", "out.picture_strided", "out.number"}


def test_stored_parts_are_compared_as_noted(case):
    report = Report()
    report.stored("picture", torch.arange(16.0).reshape(4, 4), case)
    assert report.figures == {"picture_strided": 0.0}
    report.left_out(case)
    assert report.failures == ["nothing was compared with out.number"]


def test_differences_missing_values_and_shapes_fail():
    report = Report()
    right = torch.tensor([1.0, 100.0])
    report.close("small", right + torch.tensor([0.0, 9e-4]), right, atol=1e-4, rtol=1e-5)
    assert not report.failures
    report.close("large", right + torch.tensor([2e-4, 0.0]), right, atol=1e-4, rtol=1e-5)
    report.close("nan", torch.tensor([1.0, float("nan")]), right)
    report.close("shape", right[:1], right)
    assert [line.split(":")[0] for line in report.failures] == ["large", "nan", "shape"]
    report.close("elsewhere", right + 1, right, where=torch.tensor([False, False]))
    assert len(report.failures) == 3


def test_slices_are_read_and_nothing_else():
    picture = torch.arange(100).reshape(10, 10)
    assert torch.equal(cut(picture, "[..., ::4, 2:8]"), picture[..., ::4, 2:8])
    with pytest.raises(ValueError, match="cannot read"):
        cut(picture, "[__import__('os')]")


def test_numbers_are_read_from_notes():
    assert noted({"a": "radius 2.7; batch 4"}, "a", r"radius ([\d.]+); batch (\d+)") == [2.7, 4.0]
    with pytest.raises(AssertionError, match="does not say"):
        noted({"a": "nothing"}, "a", r"radius (\d+)")
