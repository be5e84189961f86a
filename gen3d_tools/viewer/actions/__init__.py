"""What can be done with an object on a page.

* `sheet`: several seeds side by side; a click chooses one.
* `overlays`: meshes as browsers can show them.
"""
