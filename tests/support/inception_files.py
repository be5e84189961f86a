"""Files that stand for the Inception network of FID: same interface, a few weights."""

import io
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from gen3d_tools.system_libraries import import_fidelity


class _Script(nn.Module):
    """What the published program answers with: features, or probabilities of classes."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.register_buffer("matrix", torch.randn(3 * 8 * 8, numbers, generator=random) / 14)
        self.register_buffer("classes", torch.randn(numbers, 10, generator=random) / 45)

    def forward(self, img: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(img.float() / 255, (8, 8)).flatten(1)
        features = small @ self.matrix
        if return_features:
            return features
        logits = features @ self.classes
        if not no_output_bias:
            logits = logits + 1.0
        return torch.softmax(logits, dim=1)


def write_script(path: Path, numbers: int = 2048) -> Path:
    """Write a TorchScript file that answers with so many numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers other formats by now
        torch.jit.script(_Script(numbers)).save(str(path))
    return path


def write_weights(path: Path, *, legacy: bool = False) -> tuple[Path, nn.Module]:
    """Write random weights for torch-fidelity's network; also give that network."""
    base = import_fidelity("feature_extractor_inceptionv3").FeatureExtractorInceptionV3

    class Fresh(base):
        def load_state_dict(self, state):
            """Keep the fresh weights."""

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Fresh("fresh", ["2048", "logits_unbiased"], feature_extractor_weights_path=empty)
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    return path, network
