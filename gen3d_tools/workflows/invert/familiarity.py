"""A photo of something that the model does not know is refused before anybody waits for a result."""

from collections.abc import Sequence
from pathlib import Path

import torch

from gen3d_tools.errors import OutOfDistributionError
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.out_of_distribution import STRANGER_BELOW
from gen3d_tools.photos.photo import Photo
from gen3d_tools.printable import listed

SHOWN_CLASSES = 12
OTHER_MODELS = "a face needs a model of faces (EG3D's FFHQ), another object one of its kind (gen3d models --families)"
"""Which kind of model would serve."""


@torch.no_grad()
def check_familiar(photos: Sequence[Photo], encoder: PhotoEncoder, model: str) -> list[float]:
    """Refuse photos that show nothing the encoder's model was trained on.

    Args:
        photos: Prepared photos of one object.
        encoder: The model's encoder.
        model: Name of the model, for people.

    Returns:
        The familiarity of each photo, in [0, 1].

    Raises:
        OutOfDistributionError: One of them is below `STRANGER_BELOW`: what the model knows, how far the photo is from
            that, and which kind of model would serve.
    """
    device = next(encoder.parameters()).device
    scores = [float(encoder(photo.rgb[None].to(device)).familiarity[0]) for photo in photos]
    lowest, photo = min(zip(scores, photos, strict=True), key=lambda pair: pair[0])
    if lowest < STRANGER_BELOW:
        name = Path(photo.source).name or "the photo"
        raise OutOfDistributionError(
            f"{name} shows nothing that {model} knows ({listed(encoder.config.class_names, SHOWN_CLASSES)}): its "
            f"familiarity is {lowest:.2f} of 1, and no object of its own was below {STRANGER_BELOW:g}; {OTHER_MODELS}; "
            "--anyway goes on"
        )
    return scores
