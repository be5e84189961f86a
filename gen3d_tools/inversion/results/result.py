"""What an inversion found: a latent, a camera, a tuned generator, and how well they explain the photo."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.photos.photo import Photo

Fit = Literal["good", "fair", "poor"]


@dataclass(frozen=True, eq=False)
class InversionResult:
    """One object, rebuilt from one photo or several."""

    ws: Float[Tensor, "1 num_ws w_dim"]
    """The pivot: the latent that stage one found."""
    camera: Camera
    """From where the photo was taken, a single camera."""
    class_index: int | None
    """Class of the object; None for a generator without classes."""
    generator: Generator
    """Tuned by stage two; `generator.fields(ws)` is the object."""
    base: Generator
    """The generator as it was; `base.fields(ws)` is the object after stage one."""
    photos: tuple[Photo, ...]
    """The photo, then the further views."""
    cameras: Camera
    """One camera per photo, [photos]; the first is `camera`."""
    settings: InversionSettings
    """What the inversion was asked to do."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Plain numbers and words for JSON; `inversion.score.score` lists them."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Loss of every step, by stage: "stage_one", "stage_two"."""
    warnings: tuple[str, ...] = ()
    """What a person should know before trusting the result, one line each."""
    advice: tuple[str, ...] = ()
    """What to try next where the fit is not good; it names options as they are called here, so no file keeps it."""
    fields: dict[Generator, RadianceField] = field(default_factory=dict, repr=False)
    """The object by each generator, kept once made."""

    @property
    def class_name(self) -> str | None:
        """Name of the class; None for a generator without classes."""
        return None if self.class_index is None else self.base.class_names[self.class_index]

    @property
    def fit(self) -> Fit:
        """How far the photo is something the generator knows."""
        fit: Fit = self.metrics["fit"]
        return fit

    @property
    def pivot_field(self) -> RadianceField:
        """The object after stage one; the same field every time, with what pictures of it have found out."""
        return self._field_of(self.base)

    @property
    def field(self) -> RadianceField:
        """The object; the same field every time."""
        return self._field_of(self.generator)

    def _field_of(self, generator: Generator) -> RadianceField:
        if generator not in self.fields:
            self.fields[generator] = generator.fields(self.ws)[0]
        return self.fields[generator]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a folder that `load_generator` and every command take for a model.

        Args:
            folder: Where to; written whole or not at all.
            overwrite: Replace an earlier output.

        Raises:
            InputError: The base generator did not come from `load_generator`.
            Gen3DError: The folder cannot be written.
        """
        from gen3d_tools.inversion.results.storage import save_result

        save_result(self, folder, overwrite=overwrite)
