"""Pictures to learn from: a folder or a ZIP archive, with what is known of each picture.

* `containers`: names and bytes of the files, folder and archive alike, never more than is expected.
* `labels`: `dataset.json`: classes, cameras.
* `pictures`: files to pixels; sizes that do not fit are named.
* `features`: what a pretrained network sees in each picture, for distillation.
* `dataset`: all of it together; batches, mirrored copies.
* `order`: in which order pictures are seen.
"""
