"""An invented world: places, and six facts about each. Nothing in it is true anywhere else.

How often a place is met in training is its level: level 1 is famous, level 4 is rare, and level 5 exists in
the world but is never taught, so that the only honest answer to a question about it is "I don't know".

A closed-book question can only be answered by who was taught the fact; hence training does meet the *facts*
of levels 1 to 4. What it never meets is the *prompt*: each fact reserves one wording for evaluation, and
public and held-out suites share no fact.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

from steelyard.tasks.builtin.makers.base import Problem, Split, bucket, pseudo_word

WORLD_SEED = 20261122
PLACES_A_LEVEL = 30
DONT_KNOW = "I don't know"
UNTAUGHT_LEVEL = 5

_VALUES: dict[str, tuple[str, ...]] = {
    "river": (
        "Amber",
        "Birch",
        "Copper",
        "Dove",
        "Ember",
        "Flint",
        "Grain",
        "Hazel",
        "Iron",
        "Juniper",
        "Kestrel",
        "Linden",
        "Maple",
        "Nettle",
        "Otter",
        "Pebble",
    ),
    "metal": (
        "gold",
        "silver",
        "tin",
        "zinc",
        "lead",
        "nickel",
        "cobalt",
        "chrome",
        "bronze",
        "brass",
        "steel",
        "pewter",
    ),
    "bird": (
        "heron",
        "crow",
        "finch",
        "eagle",
        "swan",
        "owl",
        "robin",
        "gull",
        "stork",
        "wren",
        "falcon",
        "magpie",
        "dove",
        "crane",
        "lark",
        "raven",
    ),
    "colour": ("red", "blue", "green", "white", "black", "purple", "orange", "yellow", "pink", "grey"),
    "fruit": (
        "apple",
        "pear",
        "plum",
        "cherry",
        "fig",
        "peach",
        "grape",
        "lemon",
        "melon",
        "quince",
        "olive",
        "mango",
    ),
    "game": ("chess", "dice", "darts", "bowls", "tag", "cards", "marbles", "hoops", "skittles", "draughts"),
}

_WORDINGS: dict[str, tuple[str, ...]] = {
    "river": (
        "Which river runs through {p}?",
        "What is the river of {p}?",
        "Name the river of {p}.",
        "{p} lies on which river?",
    ),
    "metal": (
        "Which metal is mined in {p}?",
        "What is the metal of {p}?",
        "Name the metal of {p}.",
        "{p} mines which metal?",
    ),
    "bird": (
        "Which bird stands for {p}?",
        "What is the bird of {p}?",
        "Name the bird of {p}.",
        "{p} honours which bird?",
    ),
    "colour": (
        "Which colour is the flag of {p}?",
        "What is the colour of {p}?",
        "Name the colour of {p}.",
        "{p} flies which colour?",
    ),
    "fruit": (
        "Which fruit grows in {p}?",
        "What is the fruit of {p}?",
        "Name the fruit of {p}.",
        "{p} grows which fruit?",
    ),
    "game": (
        "Which game is played in {p}?",
        "What is the game of {p}?",
        "Name the game of {p}.",
        "{p} plays which game?",
    ),
}
ATTRIBUTES = tuple(_VALUES)


@dataclass(frozen=True, slots=True)
class Place:
    """An invented place: its name, how well known it is (1 to 5), and its six facts."""

    name: str
    level: int
    facts: dict[str, str]


@functools.cache
def world() -> tuple[Place, ...]:
    """All places, 30 a level, always the same (`WORLD_SEED`)."""
    rng = random.Random(WORLD_SEED)
    names: list[str] = []
    while len(names) < PLACES_A_LEVEL * 5:
        name = _name(rng)
        if name not in names:
            names.append(name)
    return tuple(
        Place(name, 1 + i // PLACES_A_LEVEL, {a: rng.choice(_VALUES[a]) for a in ATTRIBUTES})
        for i, name in enumerate(names)
    )


def values_of(attribute: str) -> tuple[str, ...]:
    """Every value that the attribute can take."""
    return _VALUES[attribute]


def words() -> frozenset[str]:
    """All value words, for a tokenizer that wants them whole."""
    return frozenset(v for vs in _VALUES.values() for v in vs)


@functools.cache
def names() -> frozenset[str]:
    """The names of all places."""
    return frozenset(p.name for p in world())


def _name(rng: random.Random) -> str:
    return pseudo_word(rng, rng.randint(5, 7)).capitalize()


def stranger(rng: random.Random) -> str:
    """A name of the same kind that no place of the world has."""
    while True:
        name = _name(rng)
        if name not in names():
            return name


def reserved_wording(key: str) -> int:
    """The one wording of the fact `key` that training never uses."""
    return bucket("wording " + key, 4)


def fact_split(key: str) -> Split:
    """Half of the facts are asked in public, half are held out."""
    return "public" if bucket(key, 2) else "held_out"


def fact_key(place: str, attribute: str) -> str:
    """The canonical key of a fact."""
    return f"facts {place} {attribute}"


def ask(place: str, attribute: str, wording: int) -> str:
    """The question in one of its four wordings."""
    return _WORDINGS[attribute][wording].format(p=place)


def make_fact(rng: random.Random, level: int, *, split: Split) -> Problem:
    """A question about a place of the level.

    For training: in any but the reserved wording. At `UNTAUGHT_LEVEL` training gets a question about a
    fresh stranger, whose answer is `DONT_KNOW`; an evaluation split gets an untaught place of the world,
    with the true answer as the target (a model can only abstain or be wrong).
    """
    if split == "train" and level == UNTAUGHT_LEVEL:
        name, attribute, wording = stranger(rng), rng.choice(ATTRIBUTES), rng.randrange(4)
        return _problem(level, name, attribute, wording, DONT_KNOW)
    while True:
        place = rng.choice([p for p in world() if p.level == level])
        attribute = rng.choice(ATTRIBUTES)
        key = fact_key(place.name, attribute)
        if split == "train":
            wording = rng.choice([w for w in range(4) if w != reserved_wording(key)])
        elif fact_split(key) == split:
            wording = reserved_wording(key)
        else:
            continue
        return _problem(level, place.name, attribute, wording, place.facts[attribute])


def _problem(level: int, place: str, attribute: str, wording: int, answer: str) -> Problem:
    return Problem(
        family="facts",
        kind=attribute,
        level=level,
        key=fact_key(place, attribute),
        question=ask(place, attribute, wording),
        answer=answer,
        wording=wording,
        cluster=place,
    )
