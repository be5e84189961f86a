"""Radiance fields as values: points in, colour and density out."""
