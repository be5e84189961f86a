"""Words that people type for a class that is called otherwise, in the bundled model and in common data sets."""

from collections.abc import Iterable, Mapping

_WORDS: Mapping[str, str] = {
    "car": "auto automobile vehicle sedan",
    "chair": "armchair seat stool",
    "donut": "doughnut bagel ring torus",
    "house": "home building cottage hut",
    "lamp": "light lantern",
    "mug": "cup beaker tankard",
    "mushroom": "fungus toadstool",
    "rocket": "missile spaceship spacecraft",
    "sailboat": "boat ship yacht dinghy",
    "tree": "spruce fir pine oak",
}

MEANT: Mapping[str, str] = {word: name for name, words in _WORDS.items() for word in words.split()}
"""The class that each word may mean."""


def meant_classes(word: str, class_names: Iterable[str]) -> list[str]:
    """Find the classes that may be meant by a word, or by its plural.

    Args:
        word: As typed.
        class_names: What there is.
    """
    lowered = word.strip().lower()
    wanted = {MEANT.get(one, one) for one in (lowered, lowered.removesuffix("s"), lowered.removesuffix("es"))}
    return [name for name in class_names if name.lower() in wanted]
