"""What config.json may say: every field has a range, and what has none is refused in one line that says where."""

import dataclasses
import json

import pytest

from gen3d_tools.cameras.distributions.named import FixedCamera, GaussianLookAt, UniformSphere
from gen3d_tools.cameras.distributions.priors import PosePrior, Spread
from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.checkpoints.configs.config_schema import DISTRIBUTIONS, MODEL, RENDERING, SETTINGS
from gen3d_tools.checkpoints.configs.schema import (
    Anything,
    Choice,
    Either,
    Flag,
    ListOf,
    Nothing,
    Number,
    Table,
    Text,
    check,
)
from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.checkpoints.native import read_config
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.settings import ModelSettings


def names(kind):
    return {field.name for field in dataclasses.fields(kind)}


def test_the_schema_has_the_fields_of_the_classes_and_no_others():
    assert set(RENDERING.fields) == names(RenderConfig)
    assert set(MODEL.fields) - set(SETTINGS.fields) == {"format", "version", "family", "network"}
    for kind in (UniformSphere, FixedCamera, GaussianLookAt, PosePrior):
        assert set(DISTRIBUTIONS[kind.kind].fields) == {"kind", *names(kind)}
    assert set(DISTRIBUTIONS["pose_prior"].fields["yaw"].fields) == names(Spread)
    assert len(DISTRIBUTIONS) == 4


@pytest.mark.parametrize("model", bundled_models().values(), ids=lambda path: path.name)
def test_the_defaults_and_the_bundled_models_fit(model):
    config = read_config(model)
    settings = ModelSettings.from_dict(config).to_dict()
    rendering = {key: value for key, value in settings["rendering"].items() if key in config["rendering"]}
    assert settings | {"rendering": rendering} == {name: config[name] for name in SETTINGS.fields}
    assert settings["rendering"].keys() - rendering.keys() <= set(RENDERING.later)
    check(RenderConfig(near=0.1, far=2.0).to_dict(), RENDERING, "defaults")


def test_what_earlier_versions_did_not_write_may_be_missing_and_has_its_default():
    whole = RenderConfig(near=0.1, far=2.0)
    earlier = {key: value for key, value in whole.to_dict().items() if key not in RENDERING.later}
    check(earlier, RENDERING, "file")
    assert RenderConfig.from_dict(earlier) == whole
    with pytest.raises(CheckpointError, match="missing key near"):
        check({key: value for key, value in earlier.items() if key != "near"}, RENDERING, "file")


SCHEMA = Table(
    {
        "count": Number(2, 4096, whole=True),
        "side": Number(0, 10, above=True),
        "flag": Flag(),
        "limit": Either(Number(0, 1), Choice("box"), Nothing()),
        "names": ListOf(Text(5), 2, 1),
        "notes": Anything(6, 2),
    }
)
GOOD = {"count": 2, "side": 0.5, "flag": True, "limit": "box", "names": ["a"], "notes": {"a": [1, None]}}


def test_what_fits_is_taken():
    for change in ({}, {"limit": None}, {"limit": 1}, {"side": 10}, {"count": 4096}, {"notes": "x"}):
        check(GOOD | change, SCHEMA, "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1}, "file: count is 1, it must be a whole number from 2 to 4096"),
        ({"count": 10**9}, "file: count is 1000000000, it must be"),
        ({"count": 2.0}, "count is 2.0"),
        ({"count": True}, "count is True"),
        ({"side": 0}, "side is 0, it must be a number above 0, at most 10"),
        ({"side": float("nan")}, "side is nan"),
        ({"side": 1e308}, r"side is 1e\+308"),
        ({"flag": 1}, "flag is 1, it must be true or false"),
        ({"limit": "sphere"}, "limit is 'sphere', it must be a number from 0 to 1, or \"box\", or null"),
        ({"limit": []}, "limit is a list of 0"),
        ({"names": []}, "names is a list of 0, it must be a list of 1 to 2"),
        ({"names": ["a", 3]}, r"file: names\[1\] is 3, it must be a text of at most 5 characters"),
        ({"names": ["ab\x1b[2J"]}, r"names\[0\] is 'ab\\x1b\[2J'"),
        ({"notes": [[[1]]]}, "notes is a list of 1, it must be at most 6 plain values, 2 deep"),
        ({"notes": [1] * 6}, "notes is a list of 6"),
        ({"wings\n": 1}, r"file: unknown key wings\\n"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change, message):
    with pytest.raises(CheckpointError, match=message):
        check(GOOD | change, SCHEMA, "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[NaN]", "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("[1e999]", "the number '1e999' is too large"),
        ("1" * 5000, "a whole number of 5000 digits"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        (r'["\ud800"]', r"'\\ud800', which is no text"),
        (r'{"\udfff": 1}', r"'\\udfff', which is no text"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("[" * 100_000, "not valid JSON"),
        (b"\xff\xfe{\x00", "not valid JSON"),
    ],
)
def test_json_that_the_rest_of_the_program_could_not_hold_is_refused(text, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        parse_json(text, "config.json")
    assert len(str(caught.value)) < 300


def test_json_of_other_editors_is_read():
    value = {"a": [1, 2.5, None, True, "ä😀"], "b": {}}
    assert parse_json(b"\xef\xbb\xbf" + json.dumps(value).encode(), "x") == value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(NetworkConfig):
    plane_resolution: int = 4
    box_side: float = 1.0
    shift: float = 0.0


@pytest.mark.parametrize(
    "change", [{"plane_resolution": 8192}, {"box_side": 0.0}, {"box_side": 1e308}, {"shift": -1e7}]
)
def test_networks_have_ranges_too(change):
    assert Example.from_dict({"plane_resolution": 4096, "box_side": 1, "shift": 0.5}).plane_resolution == 4096
    with pytest.raises(CheckpointError, match=f"{next(iter(change))} is"):
        Example.from_dict(Example().to_dict() | change)
