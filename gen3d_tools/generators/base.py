"""What every generator can do, whatever its family: seeds and classes to latents, latents to fields."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.checkpoints.native import aligned, check_tensors, write_folder
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.latents import class_index, latent_z, truncate
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.generators.settings import ModelSettings


class Generator(nn.Module, ABC):
    """A trained 3D-aware generator: `seeds, classes -> ws -> fields`.

    Attributes:
        config: What the network is (a frozen dataclass of the family).
        settings: How it wants to be used (rendering, cameras, classes, origin).
        source: What `load_generator` found it by: a bundled name, a path or a repository id. "" if built in memory.
        pivot: The object it was tuned around; None for a generator as trained.
    """

    family: ClassVar[str]
    config: Any
    config_type: ClassVar[type[NetworkConfig]]
    settings: ModelSettings
    source: str = ""
    pivot: Pivot | None = None

    def __init__(self, config: Any, settings: ModelSettings) -> None:
        super().__init__()
        self.config, self.settings = config, settings
        if len(settings.class_names) != self.num_classes:
            names, classes = len(settings.class_names), self.num_classes
            raise CheckpointError(f"class_names holds {names} names, the network has {classes} classes")

    @classmethod
    def from_config(cls, network: NetworkConfig | dict[str, Any], settings: ModelSettings) -> "Generator":
        """Build the generator a `config.json` describes, with fresh weights.

        Args:
            network: The network section, or what was read from it.
            settings: The other sections.

        Raises:
            CheckpointError: The network section does not fit the family.
        """
        config = cls.config_type.from_dict(network) if isinstance(network, dict) else network
        try:
            return cls(config, settings)
        except ValueError as error:
            raise CheckpointError(f"network config: {error}") from error

    @property
    @abstractmethod
    def num_ws(self) -> int:
        """Number of latents a scene is made from, one per layer."""

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for an unconditional generator."""
        return int(getattr(self.config, "num_classes", 0))

    def map(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None = None,
        camera_cond: Float[Tensor, "b 25"] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map Gaussian latents to one latent per layer; rows of a scene's own are zero, their mean.

        Args:
            z: Gaussian latents.
            class_onehot: Class of each sample; soft labels blend classes.
            camera_cond: EG3D's 25 camera numbers, for families conditioned on them.
            truncation_psi: 1 = off, 0 = the (class) mean.
            truncation_cutoff: Truncate only the first rows.

        Raises:
            InputError: Classes where there are none, none where there are, or not one column per class.
        """
        w, w_avg = self.mapped(z, self.checked_classes(class_onehot), camera_cond)
        return self.truncated(w, w_avg, truncation_psi, truncation_cutoff)

    @abstractmethod
    def mapped(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
        camera_cond: Float[Tensor, "b 25"] | None,
    ) -> tuple[Float[Tensor, "b #num_ws w_dim"], Float[Tensor, "... w_dim"]]:
        """Ask the mapping network: `w`, one for all layers or one for each, and the mean that `truncate` pulls to.

        Args:
            z: Gaussian latents.
            class_onehot: Class of each sample, checked.
            camera_cond: EG3D's 25 camera numbers.
        """

    def checked_classes(self, class_onehot: Float[Tensor, "b classes"] | None) -> Float[Tensor, "b classes"] | None:
        """Give the classes as they are, if the generator has such.

        Raises:
            InputError: See `map`.
        """
        found, wanted = 0 if class_onehot is None else class_onehot.shape[-1], self.num_classes
        if found and not wanted:
            raise InputError("this generator has no classes; leave class_onehot out")
        if found != wanted:
            had = f"class_onehot has {found} columns" if found else "no class_onehot was given"
            raise InputError(f"this generator has {wanted} classes, but {had}; give a row of {wanted} per sample")
        return class_onehot

    def truncated(
        self,
        w: Float[Tensor, "b #num_ws w_dim"],
        w_avg: Float[Tensor, "... w_dim"],
        psi: float,
        cutoff: int | None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Give `w` to every layer, truncate, and append the rows of a scene's own."""
        own = self.own_rows
        ws = truncate(w.expand(-1, self.num_ws - own, -1), w_avg, psi, cutoff)
        return torch.cat([ws, ws.new_zeros(len(ws), own, ws.shape[-1])], 1) if own else ws

    @abstractmethod
    def fields(
        self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32
    ) -> Sequence[RadianceField]:
        """Give each sample's scene, whatever it is made of. Deterministic; follows autograd.

        One sample at a time, so that a sample does not depend on its batch, not even in the last digit.

        Args:
            ws: One latent per layer.
            dtype: Of the convolutions. `torch.bfloat16` is for previews: on CPUs that compute in it a backbone of a
                published size takes half the time, and planes are off by about 0.8 % (root mean square). What it makes
                is float32 all the same. A super-resolution follows it.
        """

    @property
    def scene(self) -> str:
        """What a scene is made of, in words: kind, sizes and channels."""
        words: str = self.config.scene
        return words

    @property
    def own_rows(self) -> int:
        """Rows at the end of `ws` that no mapping network gives: standard-normal latents of a scene's own."""
        return 0

    @property
    def shared_w(self) -> bool:
        """Whether the mapping network gives one latent for all layers; else it gives each layer its own."""
        return True

    def same_ws(self, w: Float[Tensor, "*rows w_dim"]) -> Float[Tensor, "1 num_ws w_dim"]:
        """Give one latent to every layer, or each its own of as many; rows of a scene's own are zero, their mean."""
        layers = w.expand(self.num_ws - self.own_rows, -1)
        return torch.cat([layers, w.new_zeros(self.own_rows, w.shape[-1])])[None]

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give what turns each row of `ws` into styles: the matrices of the affine layers that read it, gains included.

        Returns:
            One list for each row; empty where nothing reads the row, or the family does not say.
        """
        return [[] for _ in range(self.num_ws)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty for an unconditional generator."""
        return self.settings.class_names

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device

    def latents(
        self,
        seeds: Sequence[int],
        classes: Sequence[str | int] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Map seeds to latents; a seed gives the same sample in every batch and order.

        Args:
            seeds: `z = numpy.random.RandomState(seed).randn(z_dim)`, as the original scripts do.
            classes: Name or index per seed. None lets the seed choose (`RandomState(seed).choice`).
            truncation_psi: See `map`.
            truncation_cutoff: See `map`.

        Raises:
            InputError: Unknown class, not as many classes as seeds, or no seeds.
        """
        if not seeds:
            raise InputError("no seeds given; name at least one")
        onehots = self.class_onehots(seeds, classes)
        rows = []
        for i, seed in enumerate(seeds):
            z = latent_z([seed], self.config.z_dim).to(self.device)
            onehot = None if onehots is None else onehots[i : i + 1]
            rows.append(self.map(z, onehot, None, truncation_psi, truncation_cutoff))
        return torch.cat(rows)

    def class_indices(self, seeds: Sequence[int], classes: Sequence[str | int] | None = None) -> list[int]:
        """Resolve class names; without `classes` each seed draws its own.

        Raises:
            InputError: Unknown class, classes for an unconditional generator, or not one per seed.
        """
        if not self.class_names:
            if classes is not None:
                raise InputError("this generator is unconditional: it has no classes; leave the class out")
            return []
        if classes is None:
            every = np.arange(len(self.class_names))
            return [int(np.random.RandomState(seed).choice(every)) for seed in seeds]
        if len(classes) != len(seeds):
            raise InputError(f"got {len(classes)} classes for {len(seeds)} seeds; give one class per seed")
        return [class_index(name, self.class_names) for name in classes]

    def class_onehots(
        self, seeds: Sequence[int], classes: Sequence[str | int] | None = None
    ) -> Float[Tensor, "b classes"] | None:
        """Give `class_indices` as one-hot rows; None for an unconditional generator."""
        if not self.class_names:
            self.class_indices(seeds, classes)
            return None
        labels = torch.tensor(self.class_indices(seeds, classes), device=self.device)
        return nn.functional.one_hot(labels, len(self.class_names)).float()

    def sample_cameras(
        self,
        n: int,
        seeds: Sequence[int],
        z: Float[Tensor, "b z_dim"] | None = None,
        classes: Sequence[str | int] | None = None,
    ) -> Camera:
        """Draw cameras from the distribution the generator was trained with.

        Args:
            n: Number of cameras.
            seeds: One per camera.
            z: Latents, for families with a learned camera generator.
            classes: Classes, for those families.
        """
        return self.settings.camera_distribution.sample(n, seeds).to(self.device)

    def default_camera(self) -> Camera:
        """Give the camera that shows a sample best: for a tuned generator, the photo's."""
        camera = self.settings.default_view.mean() if self.pivot is None else self.pivot.camera
        return camera.to(self.device)

    @property
    def default_view(self) -> FixedCamera:
        """`default_camera` as angles around a point."""
        view = self.settings.default_view
        return view if self.pivot is None else self.pivot.view(view.target)

    @property
    def image_resolution(self) -> int | None:
        """Side of the pictures that it was trained to give; None where any size is as good."""
        return None

    @property
    def super_resolves(self) -> bool:
        """Whether a 2-D network enlarges what the rays see, so that a picture takes as long at any size."""
        return self.image_resolution is not None

    def num_parameters(self) -> int:
        """Count the trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def show(
        self,
        seeds: Sequence[int] | None = None,
        classes: Sequence[str | int] | None = None,
        *,
        truncation_psi: float = 1.0,
        live: bool = False,
    ) -> object:
        """Show samples in a notebook: see `gen3d_tools.show`. Without seeds, seed 0, or the object of a tuned one."""
        import gen3d_tools

        return gen3d_tools.show(self, seeds=seeds, classes=classes, truncation_psi=truncation_psi, live=live)

    def load_tensors(self, tensors: dict[str, Tensor], where: str) -> None:
        """Take over a checkpoint's tensors; strict in names and shapes.

        Raises:
            CheckpointError: A tensor is missing, surplus or wrongly shaped.
        """
        check_tensors(tensors, self.state_dict(), where)
        self.load_state_dict({name: aligned(tensor) for name, tensor in tensors.items()}, assign=True)

    def save(
        self,
        folder: str | Path,
        *,
        card: str | None = None,
        dtype: torch.dtype = torch.float32,
        overwrite: bool = False,
    ) -> None:
        """Write a native checkpoint that `load_generator` reads.

        Args:
            folder: Where to; written whole or not at all.
            card: Text of the model card (README.md).
            dtype: Stored precision of the tensors.
            overwrite: Replace an existing folder.
        """
        config = {"family": self.family, "network": self.config.to_dict(), **self.settings.to_dict()}
        write_folder(Path(folder), config, self.state_dict(), card=card, dtype=dtype, overwrite=overwrite)
