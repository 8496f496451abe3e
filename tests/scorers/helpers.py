"""Short ways to make trials."""

from __future__ import annotations

from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.scorers import Item, build


def judged(spec: dict[str, object] | str, item: Item) -> Score:
    scorer = build(spec)
    assert hasattr(scorer, "score")
    return scorer.score(item)


def trial(text: str, target: str | tuple[str, ...] = "", *, finish: str = "stop", **more: object) -> Item:
    """One trial with a text reply; `order`, `choices`, `fields` as keywords."""
    order = more.pop("order", ())
    task = Task(id="t", input="q", target=target, **more)
    return Item(task, Reply(text=text, finish=finish), order=order)


def word(score: Score) -> str:
    """`passed`, `failed`, `unreadable` (a format failure), `abstained`, ..."""
    if score.outcome is Outcome.FAILED and score.format_failure:
        return "unreadable"
    return score.outcome.name.lower()


def always(item: Item) -> bool:
    """A custom function for tests."""
    return item.task.id == "t"
