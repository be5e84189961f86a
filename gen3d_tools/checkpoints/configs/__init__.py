"""Configs of strangers: JSON without surprises, and every value in its range, checked once at the border.

* `strict_json`: JSON without NaN, keys that are there twice, or halves of characters.
* `strict_yaml`: YAML of plain values, without tags and aliases.
* `schema`: what belongs where in a table, as a value, and the one function that checks it.
* `config_schema`: the tables of models and results, with their ranges.
"""
