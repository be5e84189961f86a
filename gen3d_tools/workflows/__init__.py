"""One function per thing a user wants. They load, compute, write whole outputs and say what they wrote."""
