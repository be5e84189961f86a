"""One function per thing a person wants: it loads, computes, writes whole outputs and says what it wrote.

The commands:

* `sample`, `video/`, `mesh/`: pictures, films and meshes of samples.
* `invert/`, `align`, `cut_objects`: photos to 3D; faces and objects cut out of photos as generators expect them.
* `dataset/`: samples to multi-view sets, as other programs and `train` learn from them.
* `train`, `train_on_cluster`: pictures to a generator, here or by the processes of a Ray cluster.
* `reconstruct`: `gen3d invert` with a network without latents: one pass.
* `convert`, `describe`: published files to model folders; `info`, `models` and `classes`.
* `editing/`: directions in latent space, and samples moved along them.
* `evaluate/`: measures of models, meshes and inversions, as papers report them.
* `page/`: everything on one page, and things that show themselves in notebooks.
* `demo`, `bench/`, `doctor/`, `warm`: a show, a measurement, a check of the machine, compiling ahead.

What they share:

* `samples/`: which samples a command is about, and what is made of many.
* `running/`: where outputs go and what is checked of them, the record beside them, progress, an early end.
"""
