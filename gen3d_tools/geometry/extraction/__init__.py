"""From a field to the triangles of its surface."""
