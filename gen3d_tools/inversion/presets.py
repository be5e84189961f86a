"""Three sets of an inversion's settings that work."""

from typing import Literal

from gen3d_tools.errors import InputError
from gen3d_tools.inversion.settings import InversionSettings

PresetName = Literal["fast", "balanced", "best"]

PRESETS: dict[PresetName, InversionSettings] = {
    # Few steps do not make up for what large ones break: novel views of three photos changed by -0.02 to +0.04 dB with
    # an lr2 of 3e-4 (before averaging), those of two of them by -0.5 and +0.1 dB with 1e-3.
    "fast": InversionSettings().changed(
        steps1=24, steps2=14, lr2=5e-4, rays1=1200, rays2=1200, search_starts=3, search_keep=1, far_stretch=4.0
    ),
    "balanced": InversionSettings(),
    # In two hard photos novel views were at 28.3 and 29.6 dB, by "balanced" at 25.9 and 24.8; it takes
    # ten times as long.
    "best": InversionSettings().changed(
        steps1=160,
        lr1_cooldown=0.5,
        beta1=0.9,
        beta2=0.999,
        steps2=200,
        lr2=5e-4,
        coarse_samples=64,
        fine_samples=48,
        locality_points=4096,
        stop2_psnr=40.0,
        far_stretch=1.0,
    ),
}


def preset(name: str) -> InversionSettings:
    """Give a preset by its name.

    Raises:
        InputError: There is no such preset.
    """
    for known, settings in PRESETS.items():
        if known == name:
            return settings
    raise InputError(f"there is no preset {name!r}; choose from {', '.join(PRESETS)}")
