"""Samples of a model: which ones a command is about, and what is made of many.

* `selection`: seeds, classes, files of latents to samples, and samples to fields.
* `views`: how a picture is taken, and what it shows.
* `sheets`: pictures of many samples as one labelled sheet.
* `shards`: pictures of many samples as tar files for training, and an index of them.
* `camera_files`: pictures of one object with the cameras that took them: sets for nerfstudio and COLMAP.
"""
