"""What can be done with an object on a page.

* `sheet`: several seeds side by side; a click chooses one.
* `overlays`: meshes as browsers can show them.
* `surface`: the object's own mesh over its picture, and how well they agree.
* `camera_path`: key frames, a smooth path through them, and its film.
* `photo`: the object of a photo, found in a process of its own.
* `edits`: sliders of directions in latent space.
* `take_home`: files for the person, and the command that makes the same.
"""
