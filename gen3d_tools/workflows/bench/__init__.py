"""`gen3d bench`: a model's work beside the procedure of the published scripts; `make bench` uses the same yardsticks.

* `run`: the command.
* `plain_rays`, `plain_backbone`: the yardsticks: the work as published code does it on a CPU.
* `timing`: two ways of one work, clocked in turns.
"""
