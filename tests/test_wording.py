"""Messages name what the reader can change."""

import pytest
import torch

import gen3d_tools as g3
from gen3d_tools.wording import option, options_are_typed


def test_an_argument_in_python_is_an_option_on_the_command_line():
    assert (option("scale", "80mm"), option("overwrite", True), option("psi")) == (
        "scale='80mm'",
        "overwrite=True",
        "psi",
    )
    with options_are_typed():
        assert (option("scale", "80mm"), option("overwrite", True)) == ("--scale 80mm", "--overwrite")
        assert option("iso_level", 3.5, typed="--level") == "--level 3.5"
    assert option("class_names") == "class_names"


def test_errors_of_the_library_speak_python(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(g3.InputError, match="give another name, or add overwrite=True to replace it"):
        g3.write_image(tmp_path / "a.png", torch.ones(3, 2, 2))
    ball = g3.FunctionField(raw_density_fn=lambda points: 1 - points.norm(dim=-1))
    with pytest.raises(g3.Gen3DError, match=r"try iso_level=0\."):
        g3.extract_mesh(ball, resolution=8, iso_level=100.0)
