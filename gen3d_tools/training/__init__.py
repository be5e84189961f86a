"""3D generators from folders of pictures without poses (EG3D, EpiGRAF, 3DGP, Shen & Wang); a term, a file.

What is learned from:

* `data/`: folders and archives of pictures, labels, depth maps, features.
* `patches`: which part of a picture the discriminator sees (EpiGRAF).
* `blurring`: what it sees of it in the beginning.
* `augmentation/`: what it sees of it once it memorises (ADA).

Who plays, and for what:

* `synthesis/`: the generators in training: only the rays that are needed.
* `discriminators/`: four of them on one body.
* `losses/`: each term of what is minimised.
* `objectives/`: the terms of each family, in phases.

How it goes on:

* `recipes/`: every value, and where it comes from.
* `schedules`: values that change with the pictures seen.
* `draws`: every random number, from one place.
* `step`: the phases of one step, in rounds.
* `optimisers`: Adam with a lazy regulariser; gradients that stay finite.
* `averaging`: the averaged generator, which is what is kept.
* `processes`: several processes on one step.
* `run/`: counters, snapshots, log, page.
"""
