"""`gen3d page` and `show`: anybody's objects in one HTML file that needs nothing else.

* `subjects`: what is to be shown, found and checked before any work.
* `figures`: pictures, turntables and turning meshes of an object.
* `run`: the command.
* `show`, `live`: the same in a notebook, without a file; or the browser viewer in its cell.
"""
