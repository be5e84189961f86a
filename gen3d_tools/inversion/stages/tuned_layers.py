"""Which of a generator's weights stage two may move: all of them, or those that a result can do with.

A result stores what has changed, so fewer layers make smaller results, and what the photo does not show stays closer to
what the model knows. Layers are told by the names that all families have taken over from the published code.
"""

import re

from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.settings import Tune

_DECODERS = re.compile(r"(?:^|\.)(?:decoder\.net|tri_plane_mlp|nerfmlp|foreground)\.")
_BLOCK = re.compile(r"(?:^|\.)[bx](\d+)\.")  # a block of the planes' network, by its resolution
_BEHIND = re.compile(r"(?:^|\.)superresolution\.")


def tuned_names(generator: Generator, tune: Tune) -> list[str]:
    """Give the names of the parameters that stage two moves, in the generator's order.

    Args:
        generator: Of any family.
        tune: "all"; "decoder": what turns features into colour and density; "late": that, the two finest resolutions of
            the planes' network, and the super-resolution.

    Raises:
        InputError: The generator has no such layers.
    """
    names = [name for name, _ in generator.named_parameters()]
    if tune == "all":
        return names
    decoder = [name for name in names if _DECODERS.search(name)]
    sides = {int(found[1]) for name in names if (found := _BLOCK.search(name))}
    if not decoder or (tune == "late" and not sides):
        raise InputError(f"this generator has no layers that tune={tune!r} could mean; tune all of it")
    if tune == "decoder":
        return decoder
    finest = sorted(sides)[-2:]

    def late(name: str) -> bool:
        block = _BLOCK.search(name)
        return bool(_BEHIND.search(name)) or (block is not None and int(block[1]) in finest)

    chosen = {*decoder, *(name for name in names if late(name))}
    return [name for name in names if name in chosen]
