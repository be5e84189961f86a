"""What is done with photos before and besides rebuilding them.

* `familiarity`: strangers are told before the work.
"""
