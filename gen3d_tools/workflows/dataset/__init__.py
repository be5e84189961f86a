"""`gen3d dataset`: multi-view pictures of samples with all that is known of them, as other programs train on them.

* `options`: what is made of each object, and in which form; all of it can be checked before any work.
* `views`: where the cameras stand: spread over a sphere, along a path, or as the model's own.
* `pictures`: colours with alpha, depth, normals and mask of a view, and their files.
* `layout`: which file lies where in each form.
* `scene_files`: the cameras and points of one object in the files of each form.
* `scene`: one object: everything of it, written whole.
* `labels`: the dataset.json of a set that generators train on.
* `run`: the command: a plan, one object after another, the record.
"""
