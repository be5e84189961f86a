"""Volume rendering: rays, sample positions, blending, images."""
