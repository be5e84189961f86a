"""Pictures and films on disk."""
