import json
from dataclasses import replace

import pytest

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.render_config import RenderConfig

CONFIG = RenderConfig(near=2.25, far=3.3, background="white", last_interval=1e10)


def test_settings_survive_json():
    assert RenderConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG


def test_unknown_and_missing_settings_are_named():
    values = CONFIG.to_dict() | {"foreground": 1}
    del values["marcher"]
    with pytest.raises(CheckpointError, match="unknown foreground and missing marcher"):
        RenderConfig.from_dict(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [("near", "five"), ("near", True), ("coarse_samples", 4.5), ("marcher", 3), ("last_interval", "1"), ("far", 1.0)],
)
def test_a_stored_value_that_does_not_fit_is_a_broken_checkpoint(name, value):
    with pytest.raises(CheckpointError, match=name):
        RenderConfig.from_dict(CONFIG.to_dict() | {name: value})


@pytest.mark.parametrize(
    "change",
    [
        {"near": 3.3},
        {"near": -1.0},
        {"near": float("nan")},
        {"far": float("inf")},
        {"near": "box"},
        {"near": 0.0, "spacing": "disparity"},
        {"near": "box", "far": "box", "spacing": "disparity"},
        {"coarse_samples": 1},
        {"coarse_samples": 3},
        {"fine_samples": -1},
        {"last_interval": 0.0},
        {"background": "last"},
    ],
)
def test_contradicting_settings_are_refused(change):
    with pytest.raises(InputError):
        replace(CONFIG, **change)


def test_samples_counts_both_passes():
    assert replace(CONFIG, coarse_samples=5, fine_samples=3).samples == 8


def test_folders_of_earlier_versions_lack_later_settings():
    values = RenderConfig(near=0.8, far=1.2).to_dict()
    del values["last_interval_end"]
    assert RenderConfig.from_dict(values) == RenderConfig(near=0.8, far=1.2)


def test_a_ray_is_closed_in_one_way():
    assert RenderConfig(near=0.8, far=1.2, last_interval_end=1.3).closed
    assert not RenderConfig(near=0.8, far=1.2).closed
    with pytest.raises(InputError, match="both given"):
        RenderConfig(near=0.8, far=1.2, last_interval=1.0, last_interval_end=1.3)
