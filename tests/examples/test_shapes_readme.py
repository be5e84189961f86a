import re
from pathlib import Path

import pytest
import torch
from scipy import ndimage

FOLDER = Path(__file__).parents[2] / "examples" / "shapes"
README = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def snowman(shapes_on_path):
    """The class that the README shows, with the names of the files it would live in."""
    import dataset
    import primitives

    names = vars(primitives) | {"Points": dataset.Points, "Params": dataset.Params}
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(block, names)
    return names["snowman"]


@pytest.mark.parametrize("u", [0.02, 0.5, 0.98])
def test_the_class_of_the_readme_is_one_piece_in_view(snowman, u):
    centers = (torch.arange(64) + 0.5) / 64 - 0.5
    points = torch.stack(torch.meshgrid(centers, centers, centers, indexing="ij"), dim=-1).reshape(1, -1, 3)
    toy = snowman(points, torch.full((1, 10), u))
    solid = toy.distance()[0] < 0
    assert ndimage.label(solid.view(64, 64, 64).numpy())[1] == 1
    assert points[0, solid].norm(dim=-1).max() < 0.469
    assert toy.color().shape == (1, 64**3, 3)


def test_the_class_of_the_readme_has_its_nose_in_front(snowman):
    middle = torch.full((1, 10), 0.5)
    nose = torch.tensor([[[0.0, 0.19, 0.2]]])
    assert snowman(nose, middle).distance() < 0
    red, _, blue = snowman(nose, middle).color()[0, 0]
    assert red > 2 * blue


def test_the_readme_names_every_file_of_the_recipe():
    named = set(re.findall(r"`(\w+\.py)`", README))
    assert {path.name for path in FOLDER.glob("*.py")} <= named


def test_the_readme_shows_options_that_exist(shapes_on_path):
    import train

    (command,) = re.findall(r"python examples/shapes/train\.py (.*?)  ", README)
    assert train.parse_options(command.split()).minutes == 120
    (larger,) = re.findall(r"`(--per-class .*?)`", README)
    assert train.parse_options(["--out", "x", *larger.split()]).points == 4096
