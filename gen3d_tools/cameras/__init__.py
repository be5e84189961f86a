"""Cameras as values: where they are, how they are drawn at random, how they move, how files spell them."""
