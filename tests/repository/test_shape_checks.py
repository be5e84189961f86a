"""The shapes in signatures are checked while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from gen3d_tools.rendering.volume.compositing import march_rays


def test_a_wrong_shape_is_refused():
    march_rays(torch.zeros(2, 5), torch.linspace(0, 1, 5).expand(2, 5), torch.relu, marcher="classical")
    with pytest.raises(TypeCheckError):
        march_rays(torch.zeros(2, 5), torch.linspace(0, 1, 4).expand(2, 4), torch.relu, marcher="classical")
