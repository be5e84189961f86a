"""A training run: its state, what is written of it, and what a person sees.

* `folder`: whether a run may live there.
* `lock`: no two runs in one folder.
* `building`: the networks that a recipe describes, freshly initialised.
* `trainer`: networks and counters; one step after the other.
* `starting`: trained networks to begin with.
* `snapshots`: the state on disk, from which a run goes on bit for bit.
* `record`: the log, a JSON object per line.
* `looks`: sample sheets with fixed seeds, camera histograms, distances.
* `page`: what a person leaves open.
"""
