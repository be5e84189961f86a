"""Model folders from the Hugging Face hub, through its own cache."""

from pathlib import Path

from gen3d_tools.checkpoints.native import CARD_NAME, CONFIG_NAME, ENCODER_NAME, TENSORS_NAME
from gen3d_tools.checkpoints.published_folder import CONFIG_YAML, WEIGHTS_NAME
from gen3d_tools.errors import NotFoundError


def download(repo_id: str) -> Path:
    """Fetch a native checkpoint or a published folder, or find it in the local cache when offline.

    Args:
        repo_id: "org/name".

    Returns:
        The folder in the hub's cache. Only the files of a native checkpoint and of a published folder are fetched.

    Raises:
        NotFoundError: No such repository, or offline and not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        files = [CONFIG_NAME, TENSORS_NAME, ENCODER_NAME, CARD_NAME, CONFIG_YAML, WEIGHTS_NAME]
        return Path(snapshot_download(repo_id, allow_patterns=files))
    except RepositoryNotFoundError as error:
        raise NotFoundError(f"no model {repo_id!r} here nor on the Hugging Face hub; check the name") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise NotFoundError(
            f"no folder {repo_id!r} here, and the Hugging Face hub cannot be reached (offline?); "
            "connect once to fill its cache, or use a bundled model"
        ) from error
