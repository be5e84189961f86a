"""What benchmarks measure with: rows of results, work in a process of its own, whole jobs."""
