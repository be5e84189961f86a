"""`gen3d view`: a generator under one's hands, in the browser.

* `choice`: which object is looked at: class, seed, truncation, blend, mixed styles, edits; and the way back.
* `page`: what a session asks of the page it serves: the seam that tests stand in for.
* `jobs`: work in the background with a bar; it can be cancelled.
* `drawing/`: pictures: quick ones at once, sharp ones when all stands still.
* `studio`: what all sessions share: models, meshes, turns.
* `actions/`: what can be done with an object.
* `session`: one person in front of one page.
* `browser/`: the page, by viser.
* `serve`: the command.
"""
