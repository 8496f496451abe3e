"""Recognise an abstention: "I don't know", and not "I don't know if it was meant so, but the answer is 4".

What is not covered: languages other than English (give `abstain` phrases of your own), irony, and an answer hidden in
a long sentence after the phrase. In doubt it is no abstention, and the answer is judged as it stands.
"""

from __future__ import annotations

import re

_PHRASES = re.compile(
    r"\b(?:i|we) (?:really |just |honestly |simply )?(?:do not|don't|dont) (?:actually |really )?know\b"
    r"|\b(?:i am|i'm|im|we are|we're) (?:really |just |honestly )?"
    r"(?:not (?:sure|certain|able to (?:answer|determine|say|tell))|unsure|unable to (?:answer|determine|say|tell))\b"
    r"|\b(?:i|we) (?:cannot|can't|can not|could not|couldn't) (?:answer|determine|say|tell|find (?:the|an) answer)\b"
    r"|\b(?:i|we) (?:do not|don't) have (?:enough|sufficient|any|that|this) (?:information|data|knowledge|context)\b"
    r"|\b(?:i|we) have no (?:idea|clue|information)\b"
    r"|\bno idea\b"
    r"|\b(?:cannot|can't|can not|could not) be (?:determined|answered|known|inferred)\b"
    r"|\b(?:there is|there's) (?:not enough|insufficient|no) information\b"
    r"|\b(?:not enough|insufficient) (?:information|data|context)\b"
    r"|\b(?:i )?(?:would )?prefer not to (?:answer|say|guess)\b"
    r"|\bi (?:abstain|pass)\b",
    re.IGNORECASE,
)
_WHOLE = frozenset(
    (
        "unknown", "unsure", "idk", "i dunno", "dunno", "n/a", "not sure", "no answer", "abstain", "not known",
        "cannot determine", "unanswerable", "don't know", "do not know", "dont know",
    )
)  # fmt: skip
_COMMITS = re.compile(
    r"\banswer(?: is|'s|:| would be| should be)|\bfinal answer\b|####|\\boxed|(?m:^\s*a:)"
    r"|\b(?:my|best|an educated|a) guess\b|\bi(?:'d| would) (?:say|guess|go with|pick|choose)\b"
    r"|\bi (?:think|believe|guess|suspect|suppose|choose|pick)\b|\bprobably\b|\bperhaps\b|\bmost likely\b"
    r"|\bso,? it(?:'s| is)\b",
    re.IGNORECASE,
)
_TURNS = re.compile(
    r"\bbut\b|\bhowever\b|\bthough\b|\bstill,|\bthat said\b|\bnevertheless\b|\banyway\b", re.IGNORECASE
)
_DENIES = re.compile(
    r"\b(?:the|an?|what the|that the) "
    r"(?:right |correct |final )?answer(?: to (?:this|that))?(?: is)?\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?\n;]+(?:\s|$)|\n")
_COURTESY = re.compile(
    r"(?:i(?:'m| am) )?(?:so |very |really )?(?:sorry|apologi[sz]e)"
    r"|unfortunately|hmm+|well|thank(?:s| you)|hello|hi|oh|ok(?:ay)?",
    re.IGNORECASE,
)
_QUICK = re.compile(
    r"know|sure|certain|able|determin|answer|inform|data|context|idea|clue|unknown|n/a|idk|dunno|abstain|pass\b"
    r"|not to|say|tell|infer",
    re.IGNORECASE,
)
"""A word of every phrase: most texts have none, which costs half a microsecond to see."""
_LONG = 2000
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'"})


def abstains(text: str, phrases: tuple[str, ...] = ()) -> bool:
    """True when the reply declines to answer. `phrases` are further ones, compared without regard to case.

    An abstaining sentence is not enough: a commitment anywhere ("the answer is", "my guess"), a "but" after it, or
    another sentence short enough to be an answer (four words), makes it an answer.
    """
    if len(text) > _LONG or not (phrases or _QUICK.search(text)):
        return False
    flat = " ".join(text.translate(_QUOTES).split()).strip(" \t\"'*_()[]")
    lowered = flat.casefold().strip(".!? ")
    if lowered in _WHOLE or any(p.casefold().strip(".!? ") == lowered for p in phrases):
        return True
    own = [p.casefold() for p in phrases if p.strip()]
    first = _PHRASES.search(flat)
    if first is None and not any(p in lowered for p in own):
        return False
    if first is not None and _TURNS.search(flat, first.end()):
        return False
    if _COMMITS.search(_without_denials(text.translate(_QUOTES))):
        return False
    for part in _SENTENCE.split(text.translate(_QUOTES)):
        sentence = _COURTESY.sub("", part.strip()).strip(" ,*_\"'()[]:-")
        if not sentence or _PHRASES.search(sentence) or any(p in sentence.casefold() for p in own):
            continue
        if len(sentence.split()) <= 4:
            return False
    return True


def _without_denials(text: str) -> str:
    """The text without "don't know what the answer is": there the word commits to nothing."""
    out, at = [], 0
    for match in _PHRASES.finditer(text):
        out.append(text[at : match.end()])
        denial = re.compile(r"\s*(?:what |for sure what |who |where )?").match(text, match.end())
        at = denial.end() if denial else match.end()
        found = _DENIES.match(text, at)
        at = found.end() if found else at
    out.append(text[at:])
    return "".join(out)
