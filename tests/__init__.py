"""The tests. A package of its own: some libraries install a folder of this name, which Python would find instead."""
