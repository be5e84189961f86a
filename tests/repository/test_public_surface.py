import re
import subprocess
import sys
from pathlib import Path

import pytest

import gen3d_tools


def names_imported_by(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_all_is_sorted_and_has_no_doubles():
    assert gen3d_tools.__all__ == sorted(set(gen3d_tools.__all__))


@pytest.mark.parametrize("name", gen3d_tools.__all__)
def test_every_public_name_is_there(name):
    assert getattr(gen3d_tools, name) is not None
    assert name in dir(gen3d_tools)


@pytest.mark.parametrize("name", sorted(set(gen3d_tools.__all__) - {"__version__"}))
def test_every_public_object_is_called_as_it_is_exported_and_says_what_it_does(name):
    value = getattr(gen3d_tools, name)
    assert value.__name__ == name
    assert value.__doc__


def test_every_lazy_name_is_public():
    assert set(gen3d_tools._MODULE_OF_NAME) == set(gen3d_tools.__all__) - {"__version__"}


def test_a_name_is_the_one_its_module_defines():
    from gen3d_tools.cameras.camera import Camera

    assert gen3d_tools.Camera is Camera


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        gen3d_tools.no_such_name  # noqa: B018


def test_the_bare_import_is_light():
    imported = names_imported_by("import gen3d_tools")
    assert not imported & {"torch", "numpy", "scipy", "trimesh", "open3d", "rich"}


def test_the_errors_come_without_torch():
    assert "torch" not in names_imported_by("from gen3d_tools import Gen3DError, BatchError")


def test_type_checkers_are_told_of_types():
    assert (Path(gen3d_tools.__file__).parent / "py.typed").is_file()


@pytest.mark.slow
def test_type_checkers_know_what_every_public_name_is(tmp_path):
    names = [name for name in gen3d_tools.__all__ if name != "__version__"]
    user = tmp_path / "user.py"
    user.write_text("import gen3d_tools as g3\n" + "".join(f"reveal_type(g3.{name})\n" for name in names))
    root = Path(gen3d_tools.__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(user)]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    types = re.findall(r'Revealed type is "(.*)"', said)
    assert len(types) == len(names), said
    unknown = {
        name: kind for name, kind in zip(names, types, strict=True) if kind in ("Any", "object", "builtins.object")
    }
    assert unknown == {}
