"""Photos of faces as published generators were trained on them: a crop, and the camera that goes with it.

* `landmarks`: five points of a face: checked, and read from what a person typed or a file.
* `head`: where those points are on a standard head, and how large and where that head is in a photo.
* `crop`: the square of the photo that a preset cuts out, at its size.
* `pose`: the camera, from the points in the crop.
* `presets`: all of it together, for each kind of generator.
"""
