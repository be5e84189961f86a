"""What a model folder's network section may say."""

import pytest

from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.configs import EpigrafConfig, ThreeDGPConfig


@pytest.mark.parametrize("kind", [EpigrafConfig, ThreeDGPConfig])
def test_folders_from_before_a_field_have_its_default(kind):
    stored = kind(plane_channels=8).to_dict()
    assert kind.from_dict(stored) == kind(plane_channels=8)
    older = {name: value for name, value in stored.items() if name not in ("density_gain", "bounded")}
    assert kind.from_dict(older) == kind(plane_channels=8)
    assert (kind().density_gain, kind().bounded) == (1.0, False)


def test_other_fields_must_be_there_and_new_ones_fit():
    stored = EpigrafConfig().to_dict()
    with pytest.raises(CheckpointError, match="missing key box_side"):
        EpigrafConfig.from_dict({name: value for name, value in stored.items() if name != "box_side"})
    with pytest.raises(CheckpointError, match="bounded is 'yes'"):
        EpigrafConfig.from_dict({**stored, "bounded": "yes"})
