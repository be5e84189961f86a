"""Images, videos and meshes from trained 3D-aware GANs.

The public surface is listed once, in `__init__.pyi`: for type checkers as it stands, and for this file, which imports
every name of it on first use (PEP 562), so that `import gen3d_tools` and `gen3d --help` do not wait for torch.
"""

import ast
import os
import pkgutil
import sys
from importlib import import_module

__version__ = "0.2.0"


def _read_surface() -> dict[str, str]:
    """Give the module of every public name."""
    listed = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
    imports = [node for node in listed.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_MODULE_OF_NAME = _read_surface()
__all__ = sorted([*_MODULE_OF_NAME, "__version__"])


def _use_one_thread() -> None:
    """In a forked process: torch's threads are those of its parent, and waiting for them would never end."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULE_OF_NAME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not, beside what is here already."""
    return sorted({*globals(), *__all__})
