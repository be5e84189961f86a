"""The command line: options in, one workflow call, result out.

* `app`: `gen3d` itself: the commands, and the exit code of every error.
* `options`, `mesh_options`: options that commands share, declared once; those of `gen3d mesh`.
* `running`: what every command does around its workflow.
* `streams`: stdout and stderr as they come: closed, full, ASCII, a broken pipe.
* `console`: what people see (stderr) and what programs read (stdout).

One module per command:

* `demo`, `sample`, `video`, `mesh`, `invert`, `train`, `convert`: what makes files.
* `info`, `models`, `classes`, `doctor`, `bench`: what answers a question.
* `command`: how commands read their arguments and show their usage.
* `completion`: values that the shell completes, without torch.
"""
