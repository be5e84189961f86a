"""Features that were computed before: one file for each set or shard, known by a digest of all they follow from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gen3d_tools.errors import Gen3DError
from gen3d_tools.files import atomic_path
from gen3d_tools.perception.feature_networks import Features

FOLDER = "eval-cache"
_FORMAT = "gen3d-tools features 1"


class FeatureCache:
    """A folder of features; None keeps nothing.

    Args:
        folder: Where; made when it is needed.
        say: Told when a file was damaged and is made again.
    """

    def __init__(self, folder: Path | None, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self._say = folder, say
        self.found = 0  # how many were taken from the folder

    def features(self, key: dict[str, Any], make: Callable[[], Features]) -> Features:
        """Give what is kept of a key, or make and keep it.

        Args:
            key: All that the features follow from, as JSON values.
            make: Computes them.
        """
        if self.folder is None:
            return make()
        path = self.path(key)
        if (kept := self._read(path, key)) is not None:
            self.found += 1
            return kept
        made = make()
        self.keep(key, made)
        return made

    def has(self, key: dict[str, Any]) -> bool:
        """Whether the features of a key are kept, and whole."""
        return self.folder is not None and self._read(self.path(key), key) is not None

    def path(self, key: dict[str, Any]) -> Path:
        """Where the features of a key are."""
        assert self.folder is not None, "there is no folder"
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{key['what']}-{digest[:20]}.safetensors"

    def keep(self, key: dict[str, Any], features: Features) -> None:
        """Write features, whole or not at all."""
        tensors = {"values": features.values.contiguous()}
        if features.logits is not None:
            tensors["logits"] = features.logits.contiguous()
        about = {"format": _FORMAT, "key": json.dumps(key, sort_keys=True), "sha256": _digest(tensors)}
        with atomic_path(self.path(key), overwrite=True) as path:
            path.write_bytes(save(tensors, metadata=about))

    def _read(self, path: Path, key: dict[str, Any]) -> Features | None:
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, Gen3DError):
            about, tensors = {}, {}
        intact = about.get("key") == json.dumps(key, sort_keys=True) and about.get("sha256") == _digest(tensors)
        if not intact or "values" not in tensors:
            self._say(f"{path} is damaged; it is made again")
            return None
        return Features(tensors["values"], tensors.get("logits"))


def _digest(tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(f"{name} {list(tensors[name].shape)}".encode())
        found.update(tensors[name].numpy().tobytes())
    return found.hexdigest()
