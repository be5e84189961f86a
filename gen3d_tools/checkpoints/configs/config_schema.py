"""What a `config.json` may say: every value with its range, of a model folder and of a result folder.

The network's own section is checked where the families are known, by `generators.network_config`. A model that is
read from a pickle must keep to the same ranges (`SETTINGS`), so that what is converted can be loaded.
"""

from gen3d_tools.checkpoints.configs.schema import (
    Anything,
    Choice,
    Either,
    Flag,
    ListOf,
    Nothing,
    Number,
    Schema,
    Table,
    Tagged,
    Text,
)

_LARGEST = 1e6  # world units, and everything else that is no density
_SAMPLES = 4096  # along a ray; ten times what any family asks for
_NAME = Text(1000)

_length = Number(0, _LARGEST, above=True)
_coordinate = Number(-_LARGEST, _LARGEST)
_angle = Number(-3600, 3600)
_pitch = Number(-90, 90)
_fov = Number(0, 180, above=True)
_limit = Either(Number(0, _LARGEST), Choice("box"))

RENDERING = Table(
    {
        "near": _limit,
        "far": _limit,
        "coarse_samples": Number(2, _SAMPLES, whole=True),
        "fine_samples": Number(0, _SAMPLES, whole=True),
        "spacing": Choice("linear", "disparity"),
        "jitter": Choice("outward", "intervals", "centered", "grid", "ends", "middles"),
        "marcher": Choice("midpoint", "classical"),
        "last_interval": Either(Number(0, 1e12, above=True), Nothing()),
        "last_interval_end": Either(Number(-_LARGEST, _LARGEST), Nothing()),
        "background": Choice("none", "grey", "white", "last"),
        "last_in_coarse_pass": Flag(),
        "importance": Choice("smoothed", "plain", "bare"),
        "coarse_unit": Choice("world", "ray"),
        "distance_rule": Choice("mean", "sum"),
        "missed_rays": Choice("largest-near", "largest-far", "background"),
        "pixel_grid": Choice("centers", "corners"),
        "limits_along": Choice("ray", "axis"),
        "ray_length": Either(Number(0, _LARGEST, above=True), Nothing()),
        "box_share": Number(0, 1, above=True),
    },
    later=("last_interval_end", "limits_along", "ray_length", "box_share"),
)
"""The fields of `fields.render_config.RenderConfig`."""

_around = {"radius": _length, "fov_y_deg": _fov, "target": ListOf(_coordinate, 3, 3)}
_band = {"pitch_min_deg": _pitch, "pitch_max_deg": _pitch, "yaw_min_deg": _angle, "yaw_max_deg": _angle}
_spread = Table(
    {
        "shape": Choice("fixed", "uniform", "uniform_area", "normal", "truncated_normal", "hybrid"),
        **dict.fromkeys(("center", "low", "high"), _coordinate),
        "std": Number(0, _LARGEST),
    }
)
_POSE = ("yaw", "pitch", "fov_deg", "radius", "look_at_yaw", "look_at_pitch", "look_at_radius")

DISTRIBUTIONS: dict[str, Table] = {
    "uniform_sphere": Table({"kind": _NAME, **_around, **_band}),
    "fixed": Table({"kind": _NAME, **_around, "yaw_deg": _angle, "pitch_deg": _pitch}),
    "gaussian_look_at": Table(
        {"kind": _NAME, **_around, "spread_yaw_rad": Number(0, 100), "spread_pitch_v": Number(0, 100)}
    ),
    "pose_prior": Table({"kind": _NAME, **dict.fromkeys(_POSE, _spread), "yaw_zero": Choice("z", "x")}),
}
"""The fields of every distribution in `cameras.distributions`, and of `cameras.priors.PosePrior`."""

_sections: dict[str, Schema] = {
    "rendering": RENDERING,
    "cameras": Table(
        {
            "distribution": Tagged("kind", DISTRIBUTIONS),
            "default": Tagged("kind", {"fixed": DISTRIBUTIONS["fixed"]}),
            "trusted": Table(_band),
        }
    ),
    "iso_level": Number(0, 1e30, above=True),
    "class_names": ListOf(_NAME, 100_000),
    "provenance": Table({}, others=Anything(1000, 8)),
    "licence": Text(10_000),
}
SETTINGS = Table(_sections)
"""The sections that `generators.settings.ModelSettings` reads."""

MODEL = Table(
    {
        "format": _NAME,
        "version": Number(1, 1, whole=True),
        "family": Text(100),
        "network": Table({}, others=Anything(10_000, 4)),
        **_sections,
    }
)
"""The `config.json` of a model folder."""

_scores = Table({"psnr": Either(Number(-1000, 1000), Nothing())}, others=Anything(100, 2))
_report = Table(
    {
        "photos": ListOf(_NAME, 1000),
        "class_name": Either(_NAME, Nothing()),
        "settings": Table({}, others=Anything(100, 4)),
        "metrics": Table({"fit": Text(100), "stage_one": _scores, "stage_two": _scores}, others=Anything(100, 4)),
        "losses": Table({}, others=ListOf(Either(Number(-1e30, 1e30), Nothing()), 1_000_000)),
        "warnings": ListOf(Text(10_000), 1000),
        "storage": Table({}, others=Anything(100, 4)),
    },
    others=Anything(10_000, 8),
)

RESULT = Table(
    {
        "format": _NAME,
        "version": Number(1, 1, whole=True),
        "base": Table(
            {
                "source": Text(4096),
                "path": Either(Nothing(), Text(4096)),
                "sha256": Text(64, "[0-9a-f]{64}", "a SHA-256 of 64 digits"),
            }
        ),
        "camera": ListOf(Number(-_LARGEST, _LARGEST), 25, 25),
        "class_index": Either(Nothing(), Number(0, 100_000, whole=True)),
        "difference": Table({"encoding": Choice("deflated rows of int8"), "tensors": ListOf(Text(1000), 100_000)}),
        "report": _report,
    }
)
"""The `config.json` of a result folder."""
