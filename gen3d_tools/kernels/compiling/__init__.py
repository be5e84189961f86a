"""How kernels are compiled, how what is compiled is kept, and how work is shared out.

* `compiled`: the decorator, and arithmetic that becomes vector code.
* `ahead`: two processes compile at once.
* `announce`: what is said before somebody has to wait.
* `disk_cache`: compiled code on disk; what is broken there is compiled again.
* `cache_folder`: whose compiled code may be loaded.
* `threads`: ranges of work on several threads, the same bytes on any number of them.
"""
