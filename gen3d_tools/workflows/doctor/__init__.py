"""`gen3d doctor`: what of this machine works, and a fix for each thing that does not.

* `run`: the checks, one after the other.
"""
