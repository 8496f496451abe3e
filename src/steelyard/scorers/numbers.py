"""Numbers in running text: separators, fractions, percent, powers of ten, LaTeX, currency, units.

Not covered: numbers in words, Roman numerals, intervals, dates, clock times, expressions ("3*4").
All patterns take time linear in the text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.scorers.units import Unit, unit_named

_TIDY = str.maketrans(
    {
        "−": "-", "－": "-", "⁄": "/", "\u00a0": "\u202f", "\u2009": "\u202f",
        "½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅕": " 1/5", "⅖": " 2/5", "⅗": " 3/5",
        "⅘": " 4/5", "⅙": " 1/6", "⅚": " 5/6", "⅛": " 1/8", "⅜": " 3/8", "⅝": " 5/8", "⅞": " 7/8",
        "٫": ".", "٬": ",",
    }
)  # fmt: skip
_RAISED = re.compile(r"(?<=[0-9])[⁺⁻]?[⁰¹²³⁴-⁹]{1,4}")
_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_DIGIT = re.compile(r"[^\W0-9a-zA-Z_]")
_LATEX = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]{0,100})\}|\{,\}|\\[!,;:]|\\(?=[$%])|\^\{?\\circ\}?|\\left|\\right"
)
_NUMBER = re.compile(
    r"""
    (?<![\w.])
    (?P<sign>(?:(?<![\w)\]}])-[ ]?|\+)?)
    (?P<currency>[$€£¥]?)[ ]?(?P<inner>-?)
    (?:
        \\[dt]?frac\{[ ]?(?P<top>-?[0-9]{1,300})[ ]?\}\{[ ]?(?P<under>[0-9]{1,300})[ ]?\}
      | (?P<whole>[0-9]{1,300})[ ]{1,2}(?P<part>[0-9]{1,9})/(?P<of>[0-9]{1,9})(?![0-9])
      | (?P<grouped>[0-9]{1,3}(?:(?P<by>[,'_\u202f])[0-9]{3})(?:(?P=by)[0-9]{3})*(?:\.[0-9]+)?)(?![0-9])
      | (?P<lakh>[0-9]{1,2}(?:,[0-9]{2}){1,9},[0-9]{3}(?:\.[0-9]+)?)(?![0-9,])
      | (?P<dotted>[0-9]{1,3}(?:\.[0-9]{3}){2,9}(?:,[0-9]+)?)(?![0-9.])
      | (?P<plain>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)
    )
    (?:(?:[ ]?(?:[x×*·]|\\times|\\cdot)[ ]?10[ ]?(?:\^|\*\*)[ ]?\{?(?P<power>[-+]?[0-9]{1,4})\}?)
      | (?:(?:\^|\*\*)\{?(?P<raised>[-+]?[0-9]{1,4})\}?)
      | (?:[eE](?P<e>[-+]?[0-9]{1,4})(?![\w]))
      | (?:[ ]?/[ ]?(?P<over>[0-9]{1,300}(?:\.[0-9]{1,300})?)(?![0-9/]))
      |
    )
    (?P<percent>[ ]?(?:%|percent\b|per[ ]cent\b)|)
    """,
    re.VERBOSE,
)
_UNIT = re.compile(r"[ ]?([^\W\d_]{1,14}(?:/[a-z]{1,3}\b)?[²³]?(?:\^?[23]\b)?|°[ ]?[CF]?\b|°|[$€£¥¢])")
_AMBIGUOUS = frozenset(("in", "a", "d", "b", "t", "n", "l", "h", "s", "c", "f", "k", "C", "F", "K"))
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "dozen": 12.0}
_SCALE = re.compile(r"[ ](thousand|million|billion|trillion|dozen)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as read: `value` (percent is not divided), `exact` when it is a whole number, and where it stood."""

    value: float
    text: str
    start: int
    end: int
    exact: int | None = None
    percent: bool = False
    unit: Unit | None = None


def tidy(text: str) -> str:
    """The text with LaTeX wrappers taken off and typographic digits, fractions and minus signs made plain."""
    if not text.isascii():
        text = _DIGIT.sub(_digit, text.translate(_TIDY))
        text = _RAISED.sub(lambda m: "^" + m.group().translate(_PLAIN), text)
    if "\\" in text or "{,}" in text:
        text = _LATEX.sub(lambda m: m.group(1) or ("°" if "circ" in m.group(0) else ""), text)
    return text


def _digit(m: re.Match[str]) -> str:
    """A decimal digit of any script as ours; other characters as they are."""
    value = unicodedata.decimal(m.group(), None)
    return m.group() if value is None else str(value)


def numbers_in(text: str) -> Iterator[Number]:
    """The numbers in a tidied text, left to right. What overflows a float is left out."""
    for match in _NUMBER.finditer(text):
        number = _number(match, text)
        if number is not None:
            yield number


def first_number(text: str) -> Number | None:
    """The first number of a tidied text."""
    return next(numbers_in(text), None)


def parse_whole(text: str) -> Number | None:
    """The number that the text is, apart from units and marks around it; None when it is more or less than one."""
    bare = tidy(text).strip().strip("*`\"'()[]{} =≈~$").rstrip(".").strip()
    found = first_number(tidy(text))
    if found is None:
        return None
    inner = first_number(bare)
    if inner is None or inner.start != 0 or (bare[inner.end :].strip() and not _only_unit(bare[inner.end :])):
        return None
    return found


def _only_unit(rest: str) -> bool:
    return len(rest.split()) <= 2 and not any(c.isdigit() for c in rest.replace("2", "").replace("3", ""))


def _number(m: re.Match[str], text: str) -> Number | None:
    exact: int | None = None
    if m["top"] is not None:
        value = _ratio(float(m["top"]), float(m["under"]))
    elif m["whole"] is not None:
        value = float(m["whole"]) + _ratio(float(m["part"]), float(m["of"]))
    else:
        digits = m["plain"] or _ungrouped(m)
        value = float(digits)
        if "." not in digits and len(digits) <= 300:
            exact = int(digits)
    power = m["power"] or m["e"]
    if power is not None:
        value, exact = _scaled(value, int(power)), None
    if m["raised"] is not None:
        value, exact = _raised(value, int(m["raised"])), None
    if m["over"] is not None:
        value, exact = _ratio(value, float(m["over"])), None
    negative = ("-" in (m["sign"] or "")) != (m["inner"] == "-")
    end = m.end()
    scale = _SCALE.match(text, end)
    if scale and not m["percent"]:
        value *= _SCALES[scale.group(1).lower()]
        exact, end = None, scale.end()
    if not math.isfinite(value):
        return None
    unit, end = _unit_after(text, end) if not m["percent"] else (None, end)
    if unit is None and m["currency"]:
        unit = unit_named(m["currency"])
    return Number(
        value=-value if negative else value,
        text=text[m.start() : end].strip(),
        start=m.start(),
        end=end,
        exact=None if exact is None else (-exact if negative else exact),
        percent=bool(m["percent"]),
        unit=unit,
    )


def _ungrouped(m: re.Match[str]) -> str:
    """The digits of 1,234.5, 12,34,567.8 or 1.234.567,8."""
    if m["dotted"] is not None:
        return m["dotted"].replace(".", "").replace(",", ".")
    return re.sub("[,'_\u202f]", "", m["grouped"] or m["lakh"])


def _ratio(top: float, under: float) -> float:
    return top / under if under else math.inf


def _raised(value: float, power: int) -> float:
    try:
        return value**power
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _scaled(value: float, power: int) -> float:
    try:
        return float(f"{value!r}e{power}") if "e" not in repr(value) else value * 10.0**power
    except OverflowError:
        return math.inf


def _unit_after(text: str, at: int) -> tuple[Unit | None, int]:
    match = _UNIT.match(text, at)
    if match is None:
        return None, at
    name = match.group(1).replace(" ", "")
    if (
        name in _AMBIGUOUS
        and text[match.end() :].lstrip(".,;:!?)*}$ \n")[:1].isalnum()
        and text[match.end() : match.end() + 1] == " "
    ):
        return None, at  # "7 in total", "5 a day": a word, not inches
    unit = unit_named(name)
    return (unit, match.end()) if unit else (None, at)
