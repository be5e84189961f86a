"""`gen3d info`."""

from typing import Any

import typer
from rich.table import Table

from gen3d_tools.cli import options
from gen3d_tools.cli.terminal.command import Command
from gen3d_tools.cli.terminal.console import file_size, print_table, shown
from gen3d_tools.cli.terminal.running import run_query
from gen3d_tools.printable import listed, printable, quoted

_MOST_NOTES = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("info", cls=Command)(info)


def info(
    model: options.Model, base: options.Base = None, json: options.JsonRecord = False, verbose: options.Verbose = False
) -> None:
    """Describe a model: family, classes, size, cameras, rendering, origin, licence. Reads no weights.

    With `--json`: every setting of the network and the rendering. Example: `gen3d info shapes`
    """
    from gen3d_tools.workflows.describe import model_record

    run_query(lambda: model_record(model, base), _show, as_json=json, verbose=verbose)


def _show(record: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows(record):
        table.add_row(name, shown(text))
    print_table(table)


def rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Put the record of `describe.model_record` into words: what is described, and how."""
    network, cameras, names = record["network"], record["cameras"], record["class_names"]
    return [
        ("model", record["name"]),
        ("folder", record["folder"]),
        *_result_rows(record.get("result")),
        ("family", record["family"]),
        ("classes", f"{len(names)}: {listed(names, 20)}" if names else "none (unconditional)"),
        ("parameters", f"{record['parameters']:,}"),
        ("on disk", f"{file_size(record['size_bytes'])}, stored as {record['precision']}"),
        ("scene", record["scene"]),
        ("box side", f"{network['box_side']:g} world units"),
        ("iso-level", f"{record['iso_level']:g} (density at the surface of a mesh)"),
        ("default view", _camera(cameras["default"])),
        ("cameras in training", _camera(cameras["distribution"])),
        ("trusted views", _range("yaw", cameras["trusted"]) + ", " + _range("pitch", cameras["trusted"])),
        ("rendering", _rendering(record["rendering"])),
        ("licence", record["licence"] or "not stated"),
        ("provenance", _provenance(record["provenance"]) or "not stated"),
        ("sha256", record["sha256"]),
    ]


def _result_rows(result: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Say what an inversion found; nothing for a model as trained."""
    if result is None:
        return []
    metrics, camera = result["metrics"] or {}, result["camera"]
    view = f"yaw {camera['yaw_deg']:.0f}°, pitch {camera['pitch_deg']:.0f}°, fov {camera['fov_y_deg']:.1f}°"
    if result.get("edit"):
        return [
            ("result of", f"an edit of {_edited(result['edit'])}, with {printable(result['base'])}"),
            ("camera", view),
        ]
    found = f"{printable(result['class_name'] or 'object')} in {listed(result['photos'] or ['a photo'], 5)}"
    rows = [
        ("result of", f"an inversion with {printable(result['base'])}"),
        ("shows", found),
        ("photo's camera", view),
    ]
    if "fit" in metrics:
        before, after = _psnr(metrics, "stage_one"), _psnr(metrics, "stage_two")
        rows.append(("fit", f"{printable(metrics['fit'])}: {before} before tuning, {after} after"))
    return rows + [("note", line) for line in (result["warnings"] or [])[:_MOST_NOTES]]


def _edited(edit: Any) -> str:
    """Say what was edited, and how, as far as the report of a file of anybody's has it."""
    facts = edit if isinstance(edit, dict) else {}
    moves = [one for one in facts.get("directions") or [] if isinstance(one, dict)]
    named = [f"{one.get('name')} {one['amount']:+g}" for one in moves if isinstance(one.get("amount"), int | float)]
    return f"{printable(str(facts.get('of')))} ({listed(named, 5) or 'nothing'})"


def _psnr(metrics: dict[str, Any], stage: str) -> str:
    value = (metrics.get(stage) or {}).get("psnr")
    return "exact" if value is None else f"{value:.1f} dB"


def _camera(camera: dict[str, Any]) -> str:
    """Write a camera or a distribution of cameras, such as `fixed: yaw 35°, pitch 22°, radius 2.7, fov 20°`."""
    if "yaw_deg" in camera:
        angles = f"yaw {camera['yaw_deg']:g}°, pitch {camera['pitch_deg']:g}°"
    elif "yaw_min_deg" in camera:
        angles = f"{_range('yaw', camera)}, {_range('pitch', camera)}"
    else:
        numbers = ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in camera.items())
        return numbers.removeprefix("kind ").replace("_", " ")
    target = ", ".join(f"{coordinate:g}" for coordinate in camera["target"])
    lens = f"radius {camera['radius']:g}, fov {camera['fov_y_deg']:g}°, target ({target})"
    return f"{camera['kind'].replace('_', ' ')}: {angles}, {lens}"


def _number(value: Any) -> str:
    """Write a parameter of a distribution: a number, a text, a point, or a spread of one number."""
    if isinstance(value, dict):
        ends = "" if value["shape"] in ("fixed", "normal") else f" {value['low']:.4g} to {value['high']:.4g}"
        middle = "" if ends else f" {value['center']:.4g}"
        return f"{value['shape'].replace('_', ' ')}{middle or ends}"
    if isinstance(value, list | tuple):
        return f"({', '.join(f'{number:g}' for number in value)})"
    return value if isinstance(value, str) else f"{value:.4g}"


def _range(angle: str, values: dict[str, Any]) -> str:
    return f"{angle} {values[f'{angle}_min_deg']:g}° to {values[f'{angle}_max_deg']:g}°"


def _rendering(config: dict[str, Any]) -> str:
    limits = "through the box" if config["near"] == "box" else f"from {config['near']:g} to {config['far']:g}"
    samples = f"{config['coarse_samples']} + {config['fine_samples']} samples per ray"
    return f"rays {limits}, {samples}, {config['marcher']} marcher, background {config['background']}"


def _provenance(values: dict[str, Any]) -> str:
    return ", ".join(f"{printable(name).replace('_', ' ')} {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    """Write one fact about a model's origin: a text without quotation marks."""
    return printable(value) if isinstance(value, str) else quoted(value)
