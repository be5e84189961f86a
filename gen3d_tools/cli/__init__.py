"""The command line: options in, one workflow call, result out.

* `app`: `gen3d` itself: the commands, and the exit code of every error.
* `options`, `mesh_options`: options that commands share, declared once; those of `gen3d mesh`.
* `terminal/`: around every command: arguments read, progress shown, streams as they come.

One module per command:

* `view`: what serves a page.
* `demo`, `sample`, `video`, `mesh`, `invert`, `edit`, `directions`, `convert`: what makes files.
* `info`, `models`, `classes`, `doctor`, `bench`: what answers a question.
"""
