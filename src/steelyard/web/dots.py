"""Repeats as dots: one mark a trial, told apart by shape as well as by colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

STEP, SIZE = 12, 12
MOST = 12
"""Marks drawn; with more trials they are in proportion, and how many passed of how many stands beside them."""

KINDS = ("passed", "partial", "abstained", "failed", "ungraded")

_MARKS = {
    "passed": '<circle class="d-passed" cx="{x}" cy="6" r="4"/>',
    "partial": '<circle class="d-ring" cx="{x}" cy="6" r="3.5"/>'
    '<path class="d-partial" d="M{x} 2.5a3.5 3.5 0 0 1 0 7z"/>',
    "abstained": '<path class="d-abstained" d="M{left} 6h7"/>',
    "failed": '<path class="d-failed" d="M{left} 2.5l7 7m0-7l-7 7"/>',
    "ungraded": '<rect class="d-ungraded" x="{left}" y="2.5" width="7" height="7"/>',
}


def dots(counts: Sequence[int]) -> Markup:
    """Marks for (passed, partial, abstained, failed, ungraded) trials, in this order."""
    total = sum(counts)
    words = ", ".join(f"{n} {kind}" for n, kind in zip(counts, KINDS, strict=True) if n) or "no trial yet"
    if not total:
        return Markup('<span class="unknown" title="no trial yet">·</span>')
    shown = list(counts) if total <= MOST else shares(counts)
    parts, x = [], SIZE // 2
    for n, kind in zip(shown, KINDS, strict=True):
        for _ in range(n):
            parts.append(_MARKS[kind].format(x=x, left=x - 3.5))
            x += STEP
    width = max(STEP, STEP * sum(shown))
    box = f'viewBox="0 0 {width} {SIZE}" width="{width}" height="{SIZE}"'
    head = f'<svg class="dots" {box} role="img" aria-label="{escape(words)}">'
    body = f"{head}<title>{escape(words)}</title>{''.join(parts)}</svg>"
    if total > MOST:  # the marks are shares then: the counts stand beside them
        body += f'<span class="of">{counts[0]}/{total}</span>'
    return Markup(body)  # noqa: S704 - numbers and names of ours only


def shares(counts: Sequence[int]) -> list[int]:
    """`MOST` marks in proportion (largest remainders); whatever occurred keeps at least one."""
    total = sum(counts)
    exact = [MOST * n / total for n in counts]
    found = [max(int(e), 1 if n else 0) for e, n in zip(exact, counts, strict=True)]
    while sum(found) > MOST:
        at = max(range(len(found)), key=lambda i: found[i] - exact[i] if found[i] > 1 else -math.inf)
        found[at] -= 1
    order = sorted(range(len(found)), key=lambda i: exact[i] - found[i], reverse=True)
    for i in order:
        if sum(found) >= MOST:
            break
        found[i] += 1 if counts[i] else 0
    return found
