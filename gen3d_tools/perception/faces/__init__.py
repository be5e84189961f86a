"""Faces in a photo and their five points, by a detector that the person has: nothing is shipped or downloaded.

* `face`: what a detector answers.
* `mtcnn`, `mtcnn_networks`: the cascade of three small networks of Zhang et al. 2016.
* `face_mesh`: mediapipe's, where an installed version carries its models.
* `finding`: which of them is on this machine, and how to get one.
"""
