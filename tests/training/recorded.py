"""Recorded training cases: everything a test needs to replay them."""

import json
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.parity.cases import GOLDEN


def folder() -> Path:
    inside = GOLDEN / "training"
    return inside if inside.is_dir() else GOLDEN


KINDS = {
    "patchwise_step": r"in\.Gall\.z",
    "eg3d_step": r"in\.Gmain\.z",
    "density_regulariser": r"out\.[\w-]+\.sigma_\d+",
    "camera_regularisers": r"out\.\w+\.posterior",
    "dual_discriminator": r"in\.image_raw",
    "patch_discriminator": r"out\.logits",
    "patches": r"out\.\w+_\d+\.scales",
    "misc": r"out\.(blur_[\d.]+|nfs|adam_params|sampler_.*)",
}
"""Kinds of cases, and the form of a tensor's name that shows them; the first that fits counts."""


def kind_of(keys: Collection[str]) -> str | None:
    """What is recorded in a case, by the names of its tensors; None is something that no test reads."""
    return next((kind for kind, form in KINDS.items() if any(re.fullmatch(form, key) for key in keys)), None)


@cache
def kinds() -> dict[str, str | None]:
    """The kind of every recorded case, by its name."""
    found = {}
    for path in sorted(folder().glob("*.json")):
        with safe_open(path.with_suffix(".safetensors"), "pt") as file:
            found[path.stem] = kind_of(list(file.keys()))
    return found


def cases(kind: str) -> list[str]:
    """Names of the recorded cases of a kind."""
    assert kind in KINDS
    return [name for name, found in kinds().items() if found == kind]


def parts(kind: str, pattern: str) -> list[tuple[str, str]]:
    """Cases of a kind, each with every word that a pattern's first group finds in the names of its tensors."""
    found = []
    for name in cases(kind):
        words = {match[1] for key in Recorded(name).tensors if (match := re.fullmatch(pattern, key))}
        found += [(name, word) for word in sorted(words)]
    return found


class Recorded:
    """One case."""

    def __init__(self, name: str) -> None:
        self.info = json.loads((folder() / f"{name}.json").read_text(encoding="utf-8"))
        self.tensors = load_file(folder() / f"{name}.safetensors")

    def __getitem__(self, key: str) -> torch.Tensor:
        value = self.tensors[key]
        return value.float() if value.is_floating_point() and value.dtype != torch.float64 else value

    def get(self, key: str, instead: torch.Tensor | None = None) -> torch.Tensor | None:
        return self[key] if key in self.tensors else instead

    def outputs(self, pattern: str) -> dict[re.Match, torch.Tensor]:
        """Recorded outputs whose name, without "out.", is of a form."""
        found = {re.fullmatch(pattern, key.removeprefix("out.")): key for key in self.tensors if key.startswith("out.")}
        return {match: self[key] for match, key in found.items() if match}

    def told(self, pattern: str, *instead: str) -> tuple[str, ...]:
        """What the description says, by a pattern with groups; or what is to be taken instead."""
        match = re.search(pattern, self.info["description"])
        return match.groups() if match else instead

    def __contains__(self, key: str) -> bool:
        return key in self.tensors

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key[len(prefix) :]: self[key] for key in self.tensors if key.startswith(prefix)}

    def discriminator(self) -> dict[str, torch.Tensor]:
        return self.under("params.D.") or self.under("params.")


def subsampled(tensor: torch.Tensor, longest: int = 1500) -> torch.Tensor:
    """Every k-th entry of long tensors, as the recorded gradients are stored."""
    flat = tensor.detach().flatten()
    return flat[:: -(-len(flat) // longest)] if len(flat) > longest else flat


def load_strictly(module: torch.nn.Module, tensors: dict[str, torch.Tensor], unused=()) -> None:
    """Load a published state dict; only filters and layers that nothing reads may be left over."""
    own = module.state_dict()
    missing = [name for name in own if name not in tensors]
    surplus = [
        name
        for name in tensors
        if name not in own and not name.endswith("resample_filter") and not any(part in name for part in unused)
    ]
    assert not missing
    assert not surplus
    module.load_state_dict({name: tensors[name] for name in own})


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference as a share of the expected numbers' spread."""
    spread = max(float(expected.double().std(unbiased=False)), float(expected.double().abs().mean()), 1e-12)
    return float((found.detach().double() - expected.double()).abs().max()) / spread


def check_gradients(module: torch.nn.Module, recorded: Recorded, prefix: str, tolerance: float = 1e-4) -> int:
    """Compare gradient norms of every recorded parameter, and entries where they are stored; gives how many."""
    checked = 0
    for name, parameter in module.named_parameters():
        key = next((f"{prefix}{root}{name}" for root in ("", "D.") if f"{prefix}{root}{name}" in recorded), None)
        if key is None:
            continue
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        norm = float(recorded[key])
        assert abs(float(gradient.norm()) - norm) <= tolerance * norm + 1e-9, (key, float(gradient.norm()), norm)
        checked += 1
        entries = key.replace("gradnorm.", "grad.")
        if entries in recorded:
            found, expected = subsampled(gradient)[: len(recorded[entries])], recorded[entries]
            largest = float(expected.abs().max())
            assert float((found - expected).abs().max()) <= 10 * tolerance * largest + 1e-9, name
    return checked


FIGURES = {
    "loss/G": "Loss_G_loss",
    "cameras/emd": "Loss_camera_dist_emd_loss",
    "cameras/force_mean": "Loss_camera_dist_force_mean",
    "cameras/slope": "Loss_camera_dist_lipschitz_loss",
    "scores/fake": "Loss_scores_fake",
    "scores/real": "Loss_scores_real",
    "signs/real": "Loss_signs_real",
    "loss/D": "Loss_D_loss",
    "loss/r1": "Loss_D_r1_penalty",
    "loss/distillation": "Loss_kd_D_loss",
}


def adam(network, settings):
    lr, betas = settings["lr"], settings["betas"]
    return torch.optim.Adam(network.parameters(), lr=lr, betas=tuple(map(float, betas)), eps=settings["eps"])


def check_parameters(network, case, prefix, gradients, clear=1e-3, earlier=None):
    """Parameters after Adam's steps, where the gradients of this and an earlier phase were clear of rounding."""
    checked = 0
    for name, parameter in network.named_parameters():
        key = f"{prefix}{name}"
        if key not in case or gradients.get(name) is None:
            continue
        expected = case[key]
        found, slope = (subsampled(one)[: len(expected)] for one in (parameter, gradients[name]))
        large = slope.abs() > max(1e-6, clear * float(slope.abs().max()))
        if earlier is not None and earlier.get(name) is not None:
            before = subsampled(earlier[name])[: len(expected)].abs()
            large &= before > max(1e-6, clear * float(before.max()))
        if large.any():
            allowed = 3e-5 if earlier is None else 1e-4  # a step is .0019: entries from 5 % of the largest gradient on
            rounding = 1e-6 * float(expected.abs().max())  # weights with a small learning rate are stored large
            assert float((found - expected)[large].abs().max()) < allowed + rounding, name
            checked += 1
    return checked


def gradients_of(network):
    return {name: None if one.grad is None else one.grad.clone() for name, one in network.named_parameters()}
