"""One function per thing a person wants: it loads, computes, writes whole outputs and says what it wrote.

The commands:

* `sample`, `video/`, `mesh/`: pictures, films and meshes of samples.
* `reconstruct`: `gen3d invert` with a network without latents: one pass.
* `invert`, `photo_cameras`: photos to 3D; what `--camera` may say.
* `convert`, `describe`: published files to model folders; `info`, `models` and `classes`.
* `demo`, `bench/`, `doctor/`, `warm`: a show, a measurement, a check of the machine, compiling ahead.

What they share:

* `samples`: which samples a command is about.
* `claims`: what is checked of a run's outputs before any work.
* `interrupts`: how a run ends before its time.
* `runs`: where outputs go, and the record beside them.
* `reporting`: how progress is told.
* `sheets`: pictures of many samples as one labelled sheet.
* `camera_files`: pictures of one object with the cameras that took them: sets for nerfstudio and COLMAP.
"""
