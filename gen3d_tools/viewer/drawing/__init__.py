"""Pictures of a session, while it moves and when it stands still.

* `window`: from where, through which lens and window.
* `look`: what of an object is shown: colour, depth, normals, opacity; as pixels.
* `pace`: how large pictures are while the camera moves, and whose turn it is.
* `painter`: one session's pictures: a quick one at once, a sharp one when all stands still.
"""
