"""Networks whose features sets of pictures are compared by: the Inception network of FID, or the bundled encoder.

FID, KID and IS mean the Inception network of 2015. It comes as a file that the person has, in one of two forms:

* the published TorchScript program, which enlarges pictures itself; the numbers of papers were made with it;
* the table of weights that torch-fidelity and pytorch-fid share, for which torch-fidelity has the network.

Which one a file is follows from what is in it, and every number is given with the file's digest. Nothing is ever
downloaded. Without a file the bundled encoder serves, whose numbers compare with nothing but each other.
"""

import hashlib
import io
import warnings
import zipfile
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.checkpoints.pickles.legacy_file import read_tensor_table
from gen3d_tools.checkpoints.pickles.records import TensorRecord
from gen3d_tools.checkpoints.pickles.torch_archive import read_archive
from gen3d_tools.checkpoints.pickles.unpickling import Budget
from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.system_libraries import import_fidelity

Pictures = UInt8[Tensor, "b 3 n n"]
INCEPTION_NUMBERS = 2048
_PROBE_SIDE = 64
_NEEDED = "needed: the Inception network of FID, the published TorchScript or the weights that torch-fidelity loads"
_LAYERS = ("2048", "logits_unbiased")
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Features:
    """What a network says of pictures."""

    values: Float[Tensor, "pictures numbers"]
    logits: Float[Tensor, "pictures classes"] | None = None
    """Of the network's own classes, for IS; None where it has none that IS means."""

    def __len__(self) -> int:
        return len(self.values)

    @staticmethod
    def joined(parts: "list[Features]") -> "Features":
        """Put pieces together, in their order."""
        logits = [part.logits for part in parts if part.logits is not None]
        return Features(
            torch.cat([part.values for part in parts]), torch.cat(logits) if len(logits) == len(parts) else None
        )


@runtime_checkable
class FeatureNetwork(Protocol):
    """What measures need of a network."""

    @property
    def kind(self) -> str:
        """What it is: TorchScript, torch-fidelity weights, or encoder."""

    @property
    def sha256(self) -> str:
        """Digest of its file."""

    @property
    def is_inception(self) -> bool:
        """Whether FID, KID and IS may be called so."""

    def __call__(self, pictures: Pictures) -> Features:
        """Look at pictures; the answer is on the CPU."""


class EncoderNetwork:
    """The bundled encoder's embedding."""

    kind = "encoder"
    is_inception = False

    def __init__(self, encoder: PhotoEncoder, sha256: str, device: torch.device | str = "cpu") -> None:
        self.encoder, self.sha256, self.device = encoder.to(device), sha256, torch.device(device)

    @torch.no_grad()
    def __call__(self, pictures: Pictures) -> Features:
        """Give the embedding."""
        return Features(self.encoder(pictures.to(self.device).float() / 255).embedding.float().cpu())


class InceptionScript:
    """The published TorchScript program: pictures in 0..255 in, 2048 numbers or the probabilities of classes out.

    Its `forward` has truth-valued arguments: one that speaks of features gives those, one that speaks of the output's
    bias leaves that out of the classes (as IS is computed in papers). Without the latter there is no IS.
    """

    kind = "TorchScript"
    is_inception = True

    def __init__(self, network: Any, sha256: str, device: torch.device | str) -> None:
        self._network, self.sha256, self.device = network, sha256, torch.device(device)
        arguments = network.forward.schema.arguments
        switches = [argument.name for argument in arguments if isinstance(argument.default_value, bool)]
        self._for_features = {name: True for name in switches if "feature" in name.lower()}
        self._for_classes = {name: True for name in switches if "bias" in name.lower()}

    @torch.no_grad()
    def __call__(self, pictures: Pictures) -> Features:
        """Give the features, and the logarithms of the probabilities, which are logits."""
        shown = pictures.to(self.device)
        values: Tensor = self._network(shown, **self._for_features)
        if not self._for_classes:
            return Features(values.float().cpu())
        shares: Tensor = self._network(shown, **self._for_classes)
        return Features(values.float().cpu(), shares.float().clamp_min(_TINY).log().cpu())


class InceptionWeights:
    """torch-fidelity's Inception network with the weights of a file."""

    kind = "torch-fidelity weights"
    is_inception = True

    def __init__(self, network: Any, sha256: str, device: torch.device | str) -> None:
        self._network, self.sha256, self.device = network.to(device), sha256, torch.device(device)

    @torch.no_grad()
    def __call__(self, pictures: Pictures) -> Features:
        """Give the features, and the logits without their bias."""
        values, logits = self._network(pictures.to(self.device))
        return Features(values.float().cpu(), logits.float().cpu())


def load_inception(path: str | Path, *, device: torch.device | str = "cpu") -> InceptionScript | InceptionWeights:
    """Load the Inception network of a file, whichever form it has.

    A TorchScript file is a program: loading it runs what its author put there. A table of weights is read as tensors,
    and nothing in it is run.

    Raises:
        NotFoundError: No such file.
        CheckpointError: It is neither form, damaged, or another network.
        MissingDependencyError: The weights need torch-fidelity.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"no network file {path}; check the path (nothing is downloaded here)")
    check_no_pointer(path)
    network: InceptionScript | InceptionWeights
    if _is_script(path):
        network = InceptionScript(_load_script(path, device), file_digest(path), device)
    else:
        network = InceptionWeights(_build(_read_weights(path), path), file_digest(path), device)
    _probe(network, path)
    return network


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_script(path: Path) -> bool:
    """Whether it is a program: its archive holds code."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is a damaged archive; copy or download it again") from error


def _load_script(path: Path, device: torch.device | str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers other formats by now
            return torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is no TorchScript file that loads here ({_brief(error)}); {_NEEDED}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read a table of tensors, as torch writes it now or wrote it before 1.6."""
    if not zipfile.is_zipfile(path):
        try:
            return read_tensor_table(path)
        except CheckpointError as error:
            raise CheckpointError(f"{error}; {_NEEDED}") from error
    with refusing(str(path)), path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        archive = read_archive(data, Budget(), allow_unknown=False)
        table = archive.content
        if not isinstance(table, dict) or not all(isinstance(one, TensorRecord) for one in table.values()):
            raise CheckpointError(f"it holds no table of tensors; {_NEEDED}")
        return {str(name): archive.read(record) for name, record in table.items()}


def _build(tensors: dict[str, Tensor], path: Path) -> Any:
    """Give torch-fidelity's network these weights; it takes a file, so that it gets one of ours in memory."""
    network = import_fidelity("feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    try:
        return network("inception-v3-compat", list(_LAYERS), feature_extractor_weights_path=file)
    except RuntimeError as error:
        raise CheckpointError(f"{path} holds the weights of another network; {_NEEDED}") from error


def _probe(network: InceptionScript | InceptionWeights, path: Path) -> None:
    """Ask once, so that a wrong file is refused before any work."""
    grey = torch.full((2, 3, _PROBE_SIDE, _PROBE_SIDE), 128, dtype=torch.uint8)
    try:
        answer = network(grey)
    except (torch.jit.Error, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot look at a picture ({_brief(error)}); {_NEEDED}") from error
    shape = tuple(answer.values.shape)
    if shape != (2, INCEPTION_NUMBERS):
        found = f"{shape[-1]} numbers for each picture" if len(shape) == 2 else f"shape {list(shape)}"
        raise CheckpointError(f"{path} answers with {found}, Inception with {INCEPTION_NUMBERS}; {_NEEDED}")
    if not torch.isfinite(answer.values).all():
        raise CheckpointError(f"{path} answers with NaN or infinity; copy or download it again")


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].partition(". ")[0][:120] if lines else type(error).__name__
