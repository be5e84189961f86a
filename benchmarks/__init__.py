"""How long the work takes beside the plain procedure: `python -m benchmarks`."""
