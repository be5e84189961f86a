"""Around every command: arguments in, what people and programs read out.

* `command`: how commands read their arguments and show their usage.
* `running`: what every command does around its workflow.
* `completion`: values that the shell completes, without torch.
* `console`: what people see (stderr) and what programs read (stdout).
* `streams`: stdout and stderr as they come: closed, full, ASCII, a broken pipe.
"""
