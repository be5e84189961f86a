"""The models that come with the package: inside it when installed, beside it in a checkout."""

from pathlib import Path

PACKAGE_FOLDER = Path(__file__).resolve().parents[1]


def bundled_models() -> dict[str, Path]:
    """Find the models that need no download.

    A wheel carries them in `gen3d_tools/_weights`, a checkout (and an editable installation of it)
    in `weights` beside the package.

    Returns:
        Checkpoint folders by name, in alphabetical order. Empty when the copy of the package has none.
    """
    folder = _weights_folder()
    if folder is None:
        return {}
    return {model.name: model for model in sorted(folder.iterdir()) if (model / "config.json").is_file()}


def _weights_folder() -> Path | None:
    installed = PACKAGE_FOLDER / "_weights"
    if installed.is_dir():
        return installed
    checkout = PACKAGE_FOLDER.parent
    # Without this check a stranger's `weights` package in site-packages would pass for ours.
    is_checkout = (checkout / "pyproject.toml").is_file()
    return checkout / "weights" if is_checkout and (checkout / "weights").is_dir() else None
