"""The hot loops on plain arrays: numba on CPUs, with references that define the truth. No field, no network class."""
