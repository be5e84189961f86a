"""Checkpoints on disk: what a folder must hold to be a generator, and how to find one by name."""
