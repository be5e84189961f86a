"""How alike two sets of pictures are, judged by the features of a network.

* `scores`: Frechet distance, kernel distance, precision and recall, and the Inception score, from features.
"""
