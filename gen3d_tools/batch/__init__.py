"""Many of a thing: pieces of work that any process can make, and engines that spread them over processes.

* `pieces`: a piece of work, what is told of it, and the manifest that lists all of a run.
* `worker`: what happens in a process that makes pieces.
* `engine`: where pieces are made, and the order of tries and failures.
* `processes`: the engine of one machine, a process for each worker.
* `ray_engine`: the engine of many machines, by Ray.
* `store`: outputs that go to a URL.
* `options`: how many workers there are, and on which devices.
"""
