"""What happens around every run: outputs named and checked, a record kept, progress told, an early end.

* `places`: where outputs go.
* `runs`: one run of a command, and the record beside its outputs.
* `inputs`: the files that a run reads: by what a record knows them, and that no output replaces them.
* `claims`: what is checked of a run's outputs before any work.
* `batches`: the work of a run in pieces, here or spread over processes.
* `interrupts`: how a run ends before its time.
* `reporting`: how progress is told.
"""
