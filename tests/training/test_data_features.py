"""Features from files: a finite row per picture, or a line that says what is wrong."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gen3d_tools.errors import InputError
from gen3d_tools.training.data import features
from gen3d_tools.training.data.features import encoder_features, read_features

NAMES = ("a.png", "b.png")
TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "features.npy"
    np.save(made, TABLE)
    return made


def refused(path, *parts):
    with pytest.raises(InputError) as caught:
        read_features(path, NAMES)
    line = str(caught.value)
    assert line.startswith(str(path.with_suffix("")))
    assert line.isprintable()
    for part in parts:
        assert part in line


def test_rows_are_found_by_the_table_beside_them(path):
    assert np.array_equal(read_features(path, NAMES), TABLE)
    path.with_suffix(".json").write_text(json.dumps({"filepath_to_idx": {"a.png": 1, "b.png": 0}}))
    assert np.array_equal(read_features(path, NAMES), TABLE[::-1])


def test_files_that_are_no_array_are_refused(path):
    path.write_bytes(b"")
    refused(path, "features.npy holds no features that can be read")
    with path.open("wb") as file:
        np.savez(file, features=TABLE)
    refused(path, "features.npy holds no features that can be read")
    np.save(path, TABLE.astype(complex))
    refused(path, "numbers of type complex128")


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_named_by_their_picture(path, number):
    table = TABLE.astype(np.float64)
    table[1, 2] = number
    np.save(path, table)
    refused(path, "numbers for b.png that are not finite")
    save_file({"features": torch.from_numpy(table)}, path.with_suffix(".safetensors"))
    refused(path.with_suffix(".safetensors"), "numbers for b.png that are not finite")


@pytest.mark.parametrize("shape", [(2, 0), (2,), (2, 1, 3), (3, 3)])
def test_features_are_a_row_of_numbers_per_picture(path, shape):
    np.save(path, np.ones(shape, np.float32))
    refused(path, f"shape {list(shape)}, needed are 2 rows")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "features.json is no JSON"),
        ("[]", "features.json must hold a table filepath_to_idx"),
        ('{"filepath_to_idx": [0, 1]}', "features.json must hold a table filepath_to_idx"),
        ('{"filepath_to_idx": {"a.png": 0}}', "features.json has no row for b.png"),
    ],
)
def test_a_broken_table_of_rows_is_named(path, text, found):
    path.with_suffix(".json").write_text(text)
    refused(path, found)


@pytest.mark.parametrize("row", [2, -1, 1.5, True, None])
def test_a_row_that_is_none_is_named(path, row):
    path.with_suffix(".json").write_text(json.dumps({"filepath_to_idx": {"a.png": 0, "b.png": row}}))
    refused(path, f"gives b.png the row {row}", "from 0 to 1")


def test_the_features_of_a_single_picture_are_finite(monkeypatch):
    seen = SimpleNamespace(embedding=torch.tensor([[1.0, 2.0]]))
    monkeypatch.setattr(features, "load_encoder", lambda name: lambda images: seen)
    assert encoder_features(lambda first, last: torch.zeros(last - first, 3, 8, 8), 1).tolist() == [[0.0, 0.0]]
