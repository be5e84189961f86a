"""From density to a triangle mesh in world units."""
