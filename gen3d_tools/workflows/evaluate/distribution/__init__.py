"""A model's pictures, or a set of them, against real ones, by the features of a network.

* `compare`: the measures.
* `samples`, `spread`: a model's samples shard by shard; shards over processes.
* `protocols`: how papers draw them.
* `sets`: folders and archives of pictures.
* `networks`: whose features.
* `cache`: features that were computed before.
"""
