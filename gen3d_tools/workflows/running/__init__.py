"""What happens around every run: outputs named and checked, a record kept, progress told, an early end.

* `runs`: where outputs go, and the record beside them.
* `claims`: what is checked of a run's outputs before any work.
* `batches`: the work of a run in pieces, here or spread over processes.
* `interrupts`: how a run ends before its time.
* `reporting`: how progress is told.
"""
