"""The command line: options in, one workflow call, result out.

* `app`: `gen3d` itself: the commands, and the exit code of every error.
* `options`, `mesh_options`, `invert_options`, `dataset_options`: options that commands share; those of one command.
* `batch_options`: how many processes share the work of a command.
* `terminal/`: around every command: arguments read, progress shown, streams as they come.

One module per command:

* `demo`, `sample`, `video`, `mesh`, `invert`, `align`, `edit`, `directions`, `page`, `convert`: what makes files.
* `dataset`: what makes sets for others to train on.
* `train`: what makes models.
* `evaluate`: what measures models, meshes and inversions (`gen3d eval`).
* `view`: what serves a page.
* `info`, `models`, `classes`, `doctor`, `bench`: what answers a question.
"""
