"""Recorded cases: a folder per family, and in it a JSON and tensors per case. Nothing here knows a case's name."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

OWN = Path(__file__).parents[1] / "golden"
GOLDEN = Path(os.environ.get("GEN3D_GOLDEN_DIR") or OWN)


@dataclass(frozen=True)
class Case:
    """One recorded case."""

    family: str
    path: Path

    @cached_property
    def info(self) -> dict[str, Any]:
        return json.loads(self.path.read_text(encoding="utf-8"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        files = self.info.get("files") or [f"{self.path.stem}.safetensors"]
        return {name: tensor for file in files for name, tensor in load_file(self.path.parent / file).items()}

    @property
    def params(self) -> dict[str, Tensor]:
        """The state dict, with zeros for buffers that were left out because nothing reads them."""
        omitted = self.info.get("params_omitted") or {}
        zeros = {name: torch.zeros(shape) for name, shape in omitted.items()}
        return zeros | {name[7:]: value.float() for name, value in self.tensors.items() if name.startswith("params.")}

    def __str__(self) -> str:
        return f"{self.family}-{self.path.stem}"


def discover(folder: Path = GOLDEN) -> list[Case]:
    """Find every case of a generator in the folder of recorded cases; `tests/training` finds those of training."""
    found = sorted(folder.glob("*/*.json"))
    return [Case(path.parent.name, path) for path in found if path.parent.name != "training"]


@dataclass
class Report:
    """What was compared, and what differs."""

    figures: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)

    def close(
        self, name: str, found: Tensor, expected: Tensor, *, atol: float = 1e-4, rtol: float = 0.0, where=None
    ) -> None:
        """Compare; the allowed difference is the larger of the two tolerances."""
        if found.shape != expected.shape:
            self.failures.append(f"{name}: shape {list(found.shape)}, expected {list(expected.shape)}")
            return
        found, expected = found.double(), expected.double()
        difference = torch.where(torch.isnan(found) & torch.isnan(expected), 0.0, (found - expected).abs())
        allowed = (rtol * expected.abs()).clamp_min(atol)
        if where is not None:
            difference, allowed = difference[where], allowed[where]
        if not difference.numel():
            return
        self.figures[name] = difference.max().item()
        share = (difference / allowed).nan_to_num(nan=float("inf")).max().item()
        if not share <= 1:
            self.failures.append(f"{name}: differs by {self.figures[name]:.3g}, {share:.3g} times what is allowed")

    def stored(self, name: str, found: Tensor, case: Case, **tolerances: Any) -> None:
        """Compare with `out.<name>`, or with the parts of it that were stored as the case's notes say."""
        whole = case.tensors.get(f"out.{name}")
        if whole is not None:
            self.compared.add(f"out.{name}")
            shaped = whole.reshape(found.shape) if whole.numel() == found.numel() else whole
            self.close(name, found, shaped, **tolerances)
        for part in ("strided", "crop"):
            expected = case.tensors.get(f"out.{name}_{part}")
            if expected is not None:
                self.compared.add(f"out.{name}_{part}")
                self.close(f"{name}_{part}", cut(found, case.info["notes"][name][part]), expected, **tolerances)

    def left_out(self, case: Case) -> None:
        """Report the recorded outputs that nothing was compared with."""
        names = sorted(name for name in case.tensors if name.startswith("out.") and name not in self.compared)
        if names:
            self.failures.append(f"nothing was compared with {', '.join(names)}")


def cut(tensor: Tensor, text: str) -> Tensor:
    """Apply a slice written as "[..., ::4, 8:16]"."""
    inside = text.strip().removeprefix("[").removesuffix("]")
    parts = [part.strip() for part in inside.split(",")]
    if any(not re.fullmatch(r"\.\.\.|\d*(:\d*){1,2}", part) for part in parts):
        raise ValueError(f"cannot read the slice {text!r}")
    slices = [
        ... if part == "..." else slice(*(int(number) if number else None for number in part.split(":")))
        for part in parts
    ]
    return tensor[tuple(slices)]


def noted(notes: Mapping[str, str], name: str, pattern: str) -> list[float]:
    """Read numbers out of a note by a pattern with groups."""
    match = re.search(pattern, notes[name])
    assert match, f"the note {name!r} does not say {pattern!r}"
    return [float(number) for number in match.groups()]
