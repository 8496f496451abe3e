"""Conversations for training: problems in many wordings, with system messages, few-shot turns and working.

Everything that the models later show, they get from the shares below: rare wordings are answered worse, the
right option stands first more often than last, and a stranger's facts are answered with "I don't know"
unless the system message asks for a guess.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steelyard.contestants.embedded.tokenizer import ASSISTANT, BOS, END, SYSTEM, USER, Tokenizer
from steelyard.tasks.builtin.makers import FAMILIES, Problem, facts, make_problem

FACTS = (0.42, 0.22, 0.11, 0.05, 0.20)  # how famous a place is; the last are strangers
STRINGS = (0.14, 0.22, 0.26, 0.22, 0.16)
CHOICE = (0.25, 0.25, 0.20, 0.18, 0.12)


@dataclass(frozen=True)
class Mix:
    """What a phase of training is made of.

    `families`: shares of arithmetic, strings, facts, choice; `levels`: shares of levels 1 to 5 by family. `worded` is the
    share of the conversations with options that surely do not ask for a letter; unless it is 0, what does not ask for one is
    answered in the chosen option's words. `answer` and `chosen` are loss weights of an answer's tokens, to a question
    without and with options; what the user says is read only.
    """

    families: tuple[float, float, float, float]
    levels: dict[str, tuple[float, float, float, float, float]]
    worded: float = 0.0
    answer: int = 1
    chosen: int = 1


GROUND = Mix(
    (0.42, 0.24, 0.20, 0.14),
    {"arithmetic": (0.12, 0.20, 0.26, 0.22, 0.20), "strings": STRINGS, "facts": FACTS, "choice": CHOICE},
)
# After GROUND, with letters only, no size has learned to choose: which letter stands before the right words is a harder
# question than which words are right, and a letter is one token where a worked sum has forty.
CHOOSING = Mix(
    (0.30, 0.10, 0.12, 0.48),
    {"arithmetic": (0.26, 0.28, 0.22, 0.13, 0.11), "strings": STRINGS, "facts": FACTS, "choice": CHOICE},
    worded=0.8,
    answer=1,
    chosen=3,
)
POSITIONS = (0.40, 0.28, 0.20, 0.12)  # where the right option stands: the source of the position bias

PLAIN = (
    "You are a helpful assistant.",
    "Answer with the result only.",
    "Answer briefly.",
    "Reply with the answer and nothing else.",
    "Be exact.",
)
GUESS = ("If you are unsure, guess.", "Always give an answer.")
STEPS = ("Work step by step.", "Show your working, then the answer.", "Think step by step.")
WRAPS = (
    ("{q}", 82),
    ("Question: {q}\nAnswer:", 8),
    ("{q} Answer with one word.", 4),
    ("Please answer: {q}", 4),
    ("{q}\n", 2),
)
OPTION_STYLES = (("\n{l}) {o}", 55), ("\n{l}. {o}", 25), ("\n({l}) {o}", 20))
OPTION_TAILS = (
    ("", 55),
    ("\nAnswer with the letter.", 20),
    ("\nAnswer:", 15),
    ("\nAnswer with one letter: A, B, C or D.", 10),
)
_OPTIONS = re.compile(r"\n\(?A[).] ")
TURNS = ((1, 78), (2, 12), (3, 6), (4, 3), (5, 1))


def draw(rng: random.Random, weighted: tuple[tuple, ...]):
    return rng.choices([w[0] for w in weighted], weights=[w[1] for w in weighted])[0]


@dataclass(frozen=True)
class Style:
    system: str
    steps: bool
    guess: bool
    option_style: str
    option_tail: str
    wrap: str
    worded: bool = False


def draw_style(rng: random.Random, family: str) -> Style:
    steps = family == "arithmetic" and rng.random() < 0.15
    guess = family == "facts" and not steps and rng.random() < 0.12
    if steps:
        system = rng.choice(STEPS)
    elif guess:
        system = rng.choice(GUESS)
    else:
        system = rng.choice(PLAIN) if rng.random() < 0.35 else ""
    return Style(system, steps, guess, draw(rng, OPTION_STYLES), draw(rng, OPTION_TAILS), draw(rng, WRAPS))


def turn(rng: random.Random, p: Problem, style: Style) -> tuple[str, str]:
    """What the user says and what the assistant should answer."""
    if p.choices:
        options = "".join(style.option_style.format(l="ABCD"[i], o=o) for i, o in enumerate(p.choices))
        return p.question + options + style.option_tail, p.answer if style.worded else p.letter
    answer = p.answer
    if answer == facts.DONT_KNOW and style.guess:
        answer = rng.choice(facts.values_of(p.kind))
    if style.steps:
        answer = f"{p.working}\nAnswer: {p.answer}"
    return style.wrap.format(q=p.question), answer


def conversation(rng: random.Random, mix: Mix = GROUND) -> list[tuple[str, str]]:
    """(role, text) turns of one training conversation; every assistant turn is learned."""
    family = rng.choices(FAMILIES, weights=mix.families)[0]
    style = draw_style(rng, family)
    turns = [("system", style.system)] if style.system else []
    if style.steps and rng.random() < 0.35:  # asked by the user instead
        turns, style = (
            [],
            Style("", True, False, style.option_style, style.option_tail, "{q} " + style.system),
        )
    if family == "choice" and mix.worded:
        tail = "" if rng.random() < mix.worded else style.option_tail
        style = replace(style, option_tail=tail, worded=not tail)
    for _ in range(draw(rng, TURNS)):
        level = rng.choices((1, 2, 3, 4, 5), weights=mix.levels[family])[0]
        problem = make_problem(rng, family, level, split="train", positions=POSITIONS)
        said, answer = turn(rng, problem, style)
        turns += [("user", said), ("assistant", answer)]
    return turns


def vocabulary(seed: int) -> list[str]:
    """Whole-word tokens: the words of wordings and values, never a place's name or a made-up word."""
    rng = random.Random(seed)
    units: Counter[str] = Counter()
    for _ in range(20_000):
        for role, said in conversation(rng):
            text = re.sub(r"'[a-z]*'", "''", said)
            # the options of a question about words are made-up words
            lines = text.split("\n")[: 1 if role == "user" and "Which word" in text else None]
            for line in lines:
                found = re.findall(r" ?[A-Za-z]+", line)
                units.update(u for i, u in enumerate(found) if u[0] == " " or (i == 0 and line.startswith(u)))
    values = {w for v in facts.words() for w in (v, " " + v)}
    names = facts.names()
    common = {u for u, n in units.items() if n >= 20 and u.strip() not in names and len(u.strip()) > 1}
    marks = [f"\n{a}{x}{b}" for x in "ABCD" for a, b in (("", ")"), ("", "."), ("(", ")"))]
    return sorted(common | values) + marks + [" +", " -", " *", " ="]


@dataclass(frozen=True)
class Corpus:
    """Token ids of all conversations end to end; `learn` is each one's weight in the loss, 0 for what is only read."""

    ids: NDArray[np.uint16]
    learn: NDArray[np.uint8]
    starts: NDArray[np.int64]


def corpus(tokenizer: Tokenizer, n: int, seed: int, mix: Mix = GROUND) -> Corpus:
    rng = random.Random(seed)
    ids: list[int] = []
    learn: list[int] = []
    starts = [0]
    weight = mix.answer
    marks = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
    for _ in range(n):
        ids.append(BOS)
        learn.append(0)
        for role, text in conversation(rng, mix):
            piece = tokenizer.encode(text)
            if role == "user":
                weight = mix.chosen if _OPTIONS.search(text) else mix.answer
            spoken = role == "assistant"
            ids += [marks[role], *piece, END] if spoken else [marks[role], *piece]
            if spoken:
                learn += [0, *[weight] * (len(piece) + 1)]
            else:
                learn += [0] * (1 + len(piece))
        starts.append(len(ids))
    return Corpus(np.array(ids, np.uint16), np.array(learn, np.uint8), np.array(starts, np.int64))
