"""A scorer: gets the item (task, reply, ...) and returns a bool, a number from 0 to 1, or a mapping with `value`."""

from difflib import SequenceMatcher


def score(item, tolerance=0):
    """1 for the target, less for a misspelling, 0 beyond `tolerance` wrong letters a word."""
    targets = [item.task.target] if isinstance(item.task.target, str) else list(item.task.target)
    said = item.reply.text.strip().rstrip(".").lower()
    best = max(SequenceMatcher(None, said, t.lower()).ratio() for t in targets)
    missed = round((1 - best) * len(said))
    return {
        "value": best if missed <= tolerance else 0.0,
        "extracted": said,
        "explanation": f"{missed} letters off",
    }
