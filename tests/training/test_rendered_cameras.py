"""Which cameras fakes are seen from: learned ones, and some of the prior's."""

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.synthesis.planes import rendered_poses
from tests.training.tiny import tiny_recipe, write_pictures


@pytest.fixture
def trainer(tmp_path):
    recipe = tiny_recipe("3dgp", "cameras.identity_steps=0")
    return Trainer(recipe, open_pictures(write_pictures(tmp_path / "pictures"), recipe.data))


@torch.no_grad()
def angles_of(trainer, share, count=64):
    request, draws = trainer._made_of(0, 0, count)
    poses = rendered_poses(trainer.generator, request, draws, share)
    return (
        poses.angles,
        request.poses.angles,
        trainer.generator.posterior_poses(request.poses, request.z, request.class_onehot).angles,
    )


def test_learned_cameras_move_all(trainer):
    rendered, prior, moved = angles_of(trainer, 0.0)
    assert torch.equal(rendered, moved)
    assert not torch.isclose(rendered[:, :2], prior[:, :2]).any()


def test_a_share_stays_with_the_prior(trainer):
    rendered, prior, moved = angles_of(trainer, 0.25)
    stay, go = ((rendered == of).all(1) for of in (prior, moved))
    assert (stay ^ go).all()
    assert 6 <= int(stay.sum()) <= 26
    everywhere, prior, _ = angles_of(trainer, 1.0)
    assert torch.equal(everywhere, prior)


def test_only_those_that_are_moved_teach_the_camera_generator(trainer):
    adaptor = trainer.generator.synthesis.camera_adaptor
    request, draws = trainer._made_of(0, 0, 8)
    for share, learns in ((1.0, False), (0.0, True)):
        adaptor.zero_grad()
        rendered_poses(trainer.generator, request, draws, share).angles.square().sum().backward()
        assert any(bool(one.grad is not None and one.grad.any()) for one in adaptor.parameters()) == learns


@pytest.mark.parametrize(("recipe", "value"), [("3dgp", 1.5), ("3dgp", -0.1), ("epigraf", 0.2)])
def test_what_is_no_share_or_has_no_learned_cameras_is_refused(recipe, value):
    with pytest.raises(InputError, match="prior_share"):
        load_recipe(recipe, small=True, changes=[f"cameras.prior_share={value}"])
