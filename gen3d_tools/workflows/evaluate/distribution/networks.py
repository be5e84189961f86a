"""Which network's features are compared: that of a file, or the bundled encoder."""

from pathlib import Path

from gen3d_tools.checkpoints.native import ENCODER_NAME
from gen3d_tools.errors import NotFoundError
from gen3d_tools.generators.source import find_source
from gen3d_tools.perception.encoder import load_encoder
from gen3d_tools.perception.feature_networks import EncoderNetwork, FeatureNetwork, file_digest, load_inception
from gen3d_tools.training.data.features import ENCODER_MODEL
from gen3d_tools.wording import option


def load_network(file: Path | None, *, device: str = "cpu") -> FeatureNetwork:
    """Load the network.

    Args:
        file: The Inception network's; None takes the bundled encoder.
        device: Where it runs.

    Raises:
        NotFoundError: There is no such file, or no bundled encoder here.
        CheckpointError: The file is another network, or damaged.
    """
    if file is not None:
        return load_inception(file, device=device)
    encoder = load_encoder(ENCODER_MODEL)
    if encoder is None:
        raise NotFoundError(f"the model {ENCODER_MODEL} has no encoder here; give {option('network')} a network's file")
    return EncoderNetwork(encoder, file_digest(find_source(ENCODER_MODEL).path / ENCODER_NAME), device)
