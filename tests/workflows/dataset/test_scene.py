"""One object of every family becomes files, from cameras of every kind; without a surface nothing is left behind."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.errors import Gen3DError
from gen3d_tools.workflows.dataset.labels import caption_of
from gen3d_tools.workflows.dataset.options import DatasetOptions
from gen3d_tools.workflows.dataset.scene import ObjectTask, make_object
from gen3d_tools.workflows.samples.selection import Sample
from tests.generators.small_families import FAMILIES


def task(target, generator, **options):
    named = bool(generator.class_names)
    sample = Sample(5, 1 if named else None, generator.class_names[1] if named else "")
    what = DatasetOptions(**{"views": 3, "size": 12, "include": ("depth", "masks", "normals"), **options})
    return ObjectTask(model="", base=None, sample=sample, psi=1.0, options=what, target=str(target))


@pytest.mark.parametrize("cameras", ["sphere", "path", "model"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_seen(tmp_path, family, cameras):
    torch.manual_seed(0)
    generator = FAMILIES[family]().eval().requires_grad_(False)
    one = task(tmp_path, generator, cameras=cameras, file_format="3dgp")
    steps = []
    make_object(one, generator, progress=steps.append)
    assert steps == [1, 2, 3]
    pictures, rest = one.outputs
    assert sorted(path.name for path in pictures.iterdir()) == sorted(
        name for index in range(3) for name in (f"00{index}.png", f"00{index}_depth.png")
    )
    for index in range(3):
        mask = np.asarray(Image.open(rest / f"masks/00{index}.png")) > 0
        depth = np.asarray(Image.open(rest / f"depth/00{index}.png"))
        assert (depth > 0).tolist() == mask.tolist()
        levels = np.asarray(Image.open(pictures / f"00{index}_depth.png"))
        assert (levels[~mask] == 65535).all()
    facts = json.loads((rest / "object.json").read_text())
    assert facts["depth_levels"] == {"near": pytest.approx(2.2, abs=0.6), "far": pytest.approx(3.2, abs=0.6)}


def test_where_there_is_no_surface_nothing_is_left(tmp_path, tiny_generator, monkeypatch):
    from gen3d_tools.workflows.dataset import scene

    def no_surface(*arguments, **options):
        raise Gen3DError("there is no surface")

    monkeypatch.setattr(scene, "make_mesh", no_surface)
    with pytest.raises(Gen3DError, match="no surface"):
        make_object(task(tmp_path, tiny_generator, include=("mesh",)), tiny_generator)
    assert list(tmp_path.iterdir()) == []


def test_captions_have_the_article_that_fits():
    found = [caption_of(name) for name in ("chair", "umbrella", "tench, Tinca tinca", "sports_car", "")]
    shown = ["a chair", "an umbrella", "a tench", "a sports car", "an object"]
    assert found == [f"a picture of {what}" for what in shown]
