"""Taubin smoothing: rounds of shrinking and swelling, which take out ripples and leave the size."""

import trimesh

from gen3d_tools.errors import InputError

MOST_ROUNDS = 200
_SHRINK, _SWELL = 0.5, 0.525  # 1 / shrink - 1 / swell is the pass band, about 0.1 (Taubin 1995, section 5)


def smooth(mesh: trimesh.Trimesh, rounds: int) -> trimesh.Trimesh:
    """Smooth a mesh; its faces and colours stay.

    Args:
        mesh: Is not changed.
        rounds: Pairs of one shrinking and one swelling step; 0 gives a copy.

    Raises:
        InputError: The number of rounds is outside 0..200.
    """
    check_rounds(rounds)
    smoothed = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    if rounds and len(mesh.faces):
        trimesh.smoothing.filter_taubin(smoothed, lamb=_SHRINK, nu=_SWELL, iterations=2 * rounds)  # type: ignore[no-untyped-call]
    if mesh.visual is not None:
        smoothed.visual = mesh.visual.copy()
    smoothed.metadata.update(mesh.metadata)
    return smoothed


def check_rounds(rounds: int) -> None:
    """Say before any work is done whether a mesh can be smoothed this often.

    Raises:
        InputError: It cannot.
    """
    if not 0 <= rounds <= MOST_ROUNDS:
        raise InputError(f"smooth is {rounds}, it must be 0 to {MOST_ROUNDS} rounds; try 10")
