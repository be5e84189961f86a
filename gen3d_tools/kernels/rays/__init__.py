"""Rays through tri-plane fields on CPUs (numba)."""
