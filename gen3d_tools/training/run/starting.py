"""A run that begins with trained networks instead of random ones: fewer pictures are enough then."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.training.run.snapshots import STATE_NAME, networks_of, read_networks
from gen3d_tools.training.run.trainer import Trainer

_ADDED = (".torgb.weight", ".torgb.bias")  # of layers whose output is added to the enlarged planes
_LEAST_SHARE = 0.5  # of a network's numbers that must fit


def trained_networks(start: str | Path) -> Mapping[str, Mapping[str, Tensor]]:
    """Read the networks to begin with.

    Args:
        start: A run's folder, with its discriminator; or any model of ours, whose discriminator is not known.

    Raises:
        Gen3DError: It is neither.
    """
    if (Path(start) / STATE_NAME).is_file():
        return read_networks(Path(start))
    model = load_generator(start, device="cpu").state_dict()
    return {"generator": model, "average": model}


@torch.no_grad()
def begin_with(trainer: Trainer, networks: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """Give a new run's networks the numbers of trained ones; what has another shape stays new.

    Where planes are finer than those of the trained generator, what the new layers add to them begins at zero: the
    first samples are those of the trained one, whose planes the generator smoothly enlarges (in the spirit of Karras
    et al. 2018, section 2).

    Args:
        trainer: A run before its first step.
        networks: From `trained_networks`.

    Returns:
        A line for each network that has not all of its numbers from there.

    Raises:
        InputError: Less than half of a network's numbers fit.
    """
    told = []
    for name, network in networks_of(trainer).items():
        own, found = network.state_dict(), networks.get(name)
        if found is None:
            told.append(f"its {name} is not known: a new one begins")
            continue
        fitting = {key for key, value in own.items() if key in found and found[key].shape == value.shape}
        numbers, taken = (sum(own[key].numel() for key in keys) for keys in (own, fitting))
        if taken < _LEAST_SHARE * numbers:
            raise InputError(
                f"{taken:,} of {numbers:,} numbers of the {name} fit; give the recipe, the resolution and the --set "
                "values that the networks to start from were trained with"
            )
        for key in fitting:
            own[key].copy_(found[key])
        new = sorted(own.keys() - fitting)
        for key in new:
            if key.endswith(_ADDED) and key not in found:
                own[key].zero_()
        if new and name != "average":  # which is like the generator
            told.append(f"new in the {name}: {', '.join(new[:3])}{' and others' if len(new) > 3 else ''}")
    return told
