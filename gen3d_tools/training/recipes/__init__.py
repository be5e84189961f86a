"""How to train, as data: `epigraf`, `3dgp`, `geometry-aware` and `eg3d`, each as published and in a small form.

A recipe is a TOML file. Each value is written as `{ is = ..., from = "where it comes from" }`; the tables below
`small` replace values for a CPU.

* `sections`: what a recipe says, section by section.
* `ranges`: what values may be.
* `reading`: which values count in which family.
* `checking`: which values do not go together.
* `switches`: which values another one switches off.
* `recipe`: files and `--set` to a recipe; the source of every value.
"""
