"""Recipes from TOML, with overrides, and with the source of every value."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable, quoted
from gen3d_tools.training.patches import PatchConfig
from gen3d_tools.training.recipes.checking import check_together
from gen3d_tools.training.recipes.ranges import RANGES, check_ranges
from gen3d_tools.training.recipes.reading import check_read, is_read
from gen3d_tools.training.recipes.sections import (
    AugmentationSection,
    CamerasSection,
    DataSection,
    DiscriminatorSection,
    LossSection,
    OptimisationSection,
    RunSection,
)
from gen3d_tools.training.recipes.switches import check_switches, shown
from gen3d_tools.wording import option

_TYPED: dict[str, type] = {
    "patches": PatchConfig,
    "discriminator": DiscriminatorSection,
    "losses": LossSection,
    "cameras": CamerasSection,
    "optimisation": OptimisationSection,
    "augmentation": AugmentationSection,
    "data": DataSection,
    "run": RunSection,
}
_FREE = ("generator", "rendering", "prior")
"""Sections that become configs of the generator, which checks them."""
_ONLY = "recipe"  # the table that says which family this is

_NO_SECTIONS = (_ONLY, "small", "finish")

Section = dict[str, Any]


class Form(NamedTuple):
    """Which recipe, and which of its forms."""

    name: str
    small: bool
    finish: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a training run is told."""

    name: str
    small: bool
    finish: bool
    """For the last part, which goes on from a trained run."""
    family: str
    about: str
    generator: Section
    """Values of the family's network config."""
    rendering: Section
    """Values of `RenderConfig`."""
    prior: Section
    """Where cameras are assumed to be."""
    patches: PatchConfig
    discriminator: DiscriminatorSection
    losses: LossSection
    cameras: CamerasSection
    optimisation: OptimisationSection
    augmentation: AugmentationSection
    data: DataSection
    run: RunSection
    sources: Mapping[str, str]
    """Where each value comes from, by its dotted name."""

    @property
    def title(self) -> str:
        """What it is called, with its form."""
        return f"{self.name}{' small' if self.small else ''}{' finish' if self.finish else ''}"

    def to_dict(self) -> dict[str, Section]:
        """Every value, section by section, as plain JSON values."""
        typed = {
            name: {f.name: getattr(getattr(self, name), f.name) for f in fields(kind)} for name, kind in _TYPED.items()
        }
        free = {name: dict(getattr(self, name)) for name in _FREE}
        return {**free, **typed}

    def explain(self) -> list[tuple[str, str, str]]:
        """Name, value and source of every value that counts."""
        rows = []
        for section, values in self.to_dict().items():
            for key, value in values.items():
                name = f"{section}.{key}"
                if not is_read(name, self.family):
                    continue
                rows.append((name, shown(value), self.sources.get(name, "default of gen3d_tools")))
        return rows


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    folder = resources.files("gen3d_tools.training.recipes")
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


_FOR_TRAINED: tuple[tuple[str, str, Any], ...] = (
    ("optimisation", "ema_ramp", None),
    ("losses", "blur_sigma", 0.0),
    ("losses", "density_noise", 0.0),
    ("cameras", "identity_steps", 0),
    ("augmentation", "speed_kimg", 100.0),
)
"""What is otherwise where a run begins with trained networks (as the published code fine-tunes)."""


def load_recipe(
    name: str,
    *,
    small: bool = False,
    changes: Sequence[str] = (),
    resolution: int | None = None,
    trained: bool = False,
    finish: bool = False,
) -> Recipe:
    """Read a recipe.

    Args:
        name: One of `recipe_names`.
        small: Its form for a CPU.
        changes: What is set otherwise, such as "patches.beta_end=0.8".
        resolution: Pixels along a side of the pictures, instead of the recipe's.
        trained: The run begins with trained networks: what the first thousands of pictures are spared is left out.
        finish: Its values for the last part, which goes on from a trained run.

    Raises:
        InputError: There is no such recipe, no such value, a value does not fit, or the recipe has no use for it; or
            it has no last part.
    """
    table = _table(name)
    values: dict[str, Section] = {}
    sources: dict[str, str] = {}
    _add(values, sources, {key: value for key, value in table.items() if key not in _NO_SECTIONS})
    if small:
        _add(values, sources, table["small"])
    if resolution is not None:
        _set(values, sources, "data", "resolution", resolution, "--resolution")
        _set(values, sources, "generator", "image_resolution", resolution, "--resolution", known_only=True)
    for section, key, value in _FOR_TRAINED if trained else ():
        _set(values, sources, section, key, value, "--start-from", known_only=True)
    if finish:
        if not small or "finish" not in table:
            raise InputError(f"{name}{' small' if small else ''} has no values for a last part; {_finishing()}")
        _add(values, sources, table["finish"])
    for change in changes:
        section, key, value = _parse(change)
        before = _value(values, section, key)
        _set(values, sources, section, key, value, "--set")
        if value != before:
            check_read(f"{section}.{key}", recipe=name, family=table[_ONLY]["family"])
    _tell_no_cameras(values, sources)
    _fit_patches(values, sources)
    return _build(Form(name, small, finish), table[_ONLY], values, sources)


def _finishing() -> str:
    """Which recipes have a last part."""
    names = [name for name in recipe_names() if "finish" in _table(name)]
    return f"leave {option('finish')} out, or take {' or '.join(names)} with {option('small')}"


def stored_recipe(
    stored: Mapping[str, Mapping[str, Any]],
    name: str,
    *,
    small: bool = False,
    finish: bool = False,
    changes: Sequence[str] = (),
    resolution: int | None = None,
) -> Recipe:
    """Read the recipe of a run that was begun, whatever `load_recipe` gives by that name today.

    Values that there were not then are what they are where nobody sets them.

    Args:
        stored: The run's values, from `Recipe.to_dict`, perhaps by way of JSON.
        name: The recipe that the run was begun with.
        small: Whether in its form for a CPU.
        finish: Whether for a last part.
        changes: What is set now, such as "run.kimg=50"; only values of the section `run` may differ.
        resolution: Pixels along a side of the pictures, which must be the run's.

    Raises:
        InputError: It is another recipe, of another version, or something else than `run` is to differ.
    """
    today = load_recipe(name, small=small, finish=finish)
    now, known = today.to_dict(), load_recipe(name, small=True).to_dict()  # the small form has all names of the other
    if today.generator.keys() - stored["generator"].keys() or stored["generator"].keys() - known["generator"].keys():
        raise InputError(f"the run was begun with another recipe than {name}, or by another version of gen3d_tools")
    unknown = [f"{part}.{key}" for part, values in stored.items() for key in values if key not in known.get(part, {})]
    if unknown:
        raise InputError(
            f"the run has {unknown[0]}, which this version of gen3d_tools has not; go on with that of then"
        )
    values = {section: {key: _plain(value) for key, value in entries.items()} for section, entries in stored.items()}
    sources = {
        f"{section}.{key}": today.sources.get(f"{section}.{key}", "the run")
        if key in now[section] and value == _plain(now[section][key])
        else "the run"
        for section, entries in values.items()
        for key, value in entries.items()
    }
    given = [] if resolution is None else [("data", "resolution", resolution)]
    for section, key, value in [*given, *map(_parse, changes)]:
        found = values.get(section, {}).get(key)
        if section != "run" and key in _known(section, values) and value != found:
            raise InputError(
                f"{section}.{key} is {shown(value)}, the run was begun with {shown(found)}; leave that out to go on "
                "with it"
            )
        _set(values, sources, section, key, value, "--set")
    return _build(Form(name, small, finish), _table(name)[_ONLY], values, sources)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tell_no_cameras(values: dict[str, Section], sources: dict[str, str]) -> None:
    """Without cameras of real pictures the discriminator cannot be told any.

    Raises:
        InputError: It is asked for nevertheless.
    """
    name, judge = "discriminator.camera_conditioned", values.get("discriminator", {})
    if values.get("cameras", {}).get("source", "prior") == "labels" or not judge.get("camera_conditioned"):
        return
    if sources[name] == "--set":
        raise InputError(f"{name} needs cameras of the real pictures; add --set cameras.source=labels, or leave it out")
    judge["camera_conditioned"] = False
    sources[name] = "cameras.source is prior: real pictures have none to tell"


def _fit_patches(values: dict[str, Section], sources: dict[str, str]) -> None:
    """The finest patches have the pictures' own pixels, whatever size both are told to have (EpiGRAF, section 3.2)."""
    name, given = "patches.least_scale", ("--set", "--resolution")
    if sources.get(name) in (None, "--set") or not {sources["patches.side"], sources["data.resolution"]} & set(given):
        return
    side, resolution = values["patches"]["side"], values["data"]["resolution"]
    if not (RANGES["patches"]["side"].fits(side) and RANGES["data"]["resolution"].fits(resolution)):
        return  # which is told where all values are checked
    values["patches"]["least_scale"] = min(side / resolution, 1.0)
    sources[name] = "patches.side / data.resolution"


@cache
def _table(name: str) -> dict[str, Any]:
    if name not in recipe_names():
        close = difflib.get_close_matches(name, recipe_names(), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"there is no recipe {quoted(name)}{hint}; known are {', '.join(recipe_names())}")
    text = resources.files("gen3d_tools.training.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _add(values: dict[str, Section], sources: dict[str, str], table: Mapping[str, Any]) -> None:
    for section, entries in table.items():
        for key, entry in entries.items():
            value = entry["is"]
            values.setdefault(section, {})[key] = None if _absent(section, key, value) else value
            sources[f"{section}.{key}"] = entry["from"]


def _parse(change: str) -> tuple[str, str, Any]:
    """Read "section.key=value"; the value as TOML has it, or a text."""
    name, equals, text = change.partition("=")
    section, dot, key = name.strip().partition(".")
    if not equals or not dot or not key:
        raise InputError(f"cannot read {quoted(change)}; write it as section.key=value, such as patches.beta_end=0.8")
    try:
        read = tomllib.loads(f"value = {text.strip()}")
    except tomllib.TOMLDecodeError:
        read = {"value": text.strip()}
    if len(read) > 1:
        raise InputError(
            f"{quoted(change)} sets more than one value; give each its own {option('changes', typed='--set')}"
        )
    value = read["value"]
    return section, key, None if _absent(section, key, value) else value


def _absent(section: str, key: str, value: Any) -> bool:
    """Whether "none" stands for no value, which TOML cannot say."""
    return value == "none" and key != "features" and section in _TYPED


def _set(
    values: dict[str, Section],
    sources: dict[str, str],
    section: str,
    key: str,
    value: Any,
    source: str,
    *,
    known_only: bool = False,
) -> None:
    known = _known(section, values)
    if key not in known:
        if known_only:
            return
        close = difflib.get_close_matches(key, known, n=1)
        if section == "prior" and (table := key.partition(".")[0]) in known:
            raise InputError(
                f"a recipe has no value {printable(f'{section}.{key}')}: {section}.{table} is one value; give all of "
                f"it, such as --set '{section}.{table}={_in_toml(values[section][table])}'"
            )
        hint = f"; did you mean {section}.{close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
        raise InputError(f"a recipe has no value {printable(f'{section}.{key}')}{hint}")
    values.setdefault(section, {})[key] = value
    sources[f"{section}.{key}"] = source


def _in_toml(value: Any) -> str:
    """A number, a text or a table as `_parse` reads it."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}={_in_toml(one)}' for key, one in value.items())}}}"
    return json.dumps(value)


def _value(values: Mapping[str, Section], section: str, key: str) -> Any:
    """What a value is so far: that of the recipe, else the default."""
    given = values.get(section, {})
    return given[key] if key in given else getattr(_TYPED.get(section), key, None)


def _known(section: str, values: Mapping[str, Section]) -> list[str]:
    if section in _TYPED:
        return [field.name for field in fields(_TYPED[section])]
    if section in _FREE:
        return list(values.get(section, {}))
    raise InputError(f"a recipe has no section {quoted(section)}; known are {', '.join([*_FREE, *_TYPED])}")


def _build(form: Form, about: Mapping[str, str], values: Mapping[str, Section], sources: Mapping[str, str]) -> Recipe:
    typed: dict[str, Any] = {}
    for section, kind in _TYPED.items():
        given = values.get(section, {})
        if unknown := given.keys() - RANGES[section].keys():
            raise InputError(f"the recipe {form.name} sets {section}.{min(unknown)}, which there is not")
        check_ranges(section, given)
        typed[section] = kind(**given)
    free: dict[str, Any] = {section: dict(values.get(section, {})) for section in _FREE}
    for section in _FREE:
        check_ranges(section, free[section])
    check_together(about["family"], free["generator"], typed)
    recipe = Recipe(**form._asdict(), family=about["family"], about=about["about"], sources=sources, **free, **typed)
    check_switches(recipe.family, recipe.to_dict(), {name for name, source in sources.items() if source == "--set"})
    return recipe
