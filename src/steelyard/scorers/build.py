"""From a spec (`{"type": "numeric", "relative": 0.01}`) to a scorer; and what is wrong with a suite for it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from steelyard.errors import DataError, PlanError
from steelyard.ledger.base import SuiteData
from steelyard.schema.reply import Reply
from steelyard.scorers.base import Item, Judge, Scorer
from steelyard.scorers.choice import Choice, ChoiceOptions
from steelyard.scorers.common import Options, TextScorer, read_options
from steelyard.scorers.exact import Exact, ExactOptions
from steelyard.scorers.includes import Includes, IncludesOptions
from steelyard.scorers.numeric import Numeric, NumericOptions
from steelyard.scorers.regex import Regex, RegexOptions
from steelyard.tasks.suite import Suite

O = TypeVar("O", bound=Options)  # noqa: E741 - the options of a scorer
Maker = Callable[[Mapping[str, object], Path | None, str], Scorer | Judge]


def _maker(made: Callable[[O, Path | None], Scorer | Judge], options: type[O]) -> Maker:
    def make(spec: Mapping[str, object], base_dir: Path | None, where: str) -> Scorer | Judge:
        return made(read_options(spec, options, where), base_dir)

    return make


MAKERS: Mapping[str, Maker] = {
    "exact": _maker(Exact, ExactOptions),
    "includes": _maker(Includes, IncludesOptions),
    "regex": _maker(Regex, RegexOptions),
    "choice": _maker(Choice, ChoiceOptions),
    "numeric": _maker(Numeric, NumericOptions),
}


def build(
    spec: Mapping[str, object] | str, *, base_dir: Path | None = None, where: str = "scorer"
) -> Scorer | Judge:
    """The scorer or judge that a spec describes; a bare name is its type with no options.

    `base_dir` is what files named in the spec start from. Raises PlanError that names the option.
    """
    if isinstance(spec, str):
        spec = {"type": spec}
    kind = spec.get("type")
    maker = MAKERS.get(kind) if isinstance(kind, str) else None
    if maker is None:
        near = difflib.get_close_matches(str(kind), MAKERS, 1)
        raise PlanError(
            "no such scorer" if kind else "a scorer without a `type`",
            where=where,
            wanted="one of " + ", ".join(MAKERS),
            got=repr(kind) if kind else "keys " + (", ".join(map(str, spec)) or "(none)"),
            fix=f"did you mean `{near[0]}`?" if near else "",
        )
    return maker(spec, base_dir, where)


def check(scorer: Scorer | Judge, suite: SuiteData, where: str = "scorer") -> None:
    """Raises DataError for the first task that the scorer could not judge: no target, no number, no choices.

    Reads every task once (some microseconds each) when the scorer looks at more than whether a target is there.
    """
    if not isinstance(scorer, TextScorer):
        return
    simple = type(scorer).check is TextScorer.check
    if simple and (not scorer.needs_target or (isinstance(suite, Suite) and suite.without_target is None)):
        return
    nothing = Reply()
    for i in range(len(suite)):
        task = suite.task(i)
        wrong = scorer.check(Item(task, nothing))
        if wrong:
            at = suite.where(i) if isinstance(suite, Suite) else f"{suite.header.name}, task {task.id}"
            hidden = task.split == "held_out" and "the target " in wrong
            raise DataError(
                f"the scorer {scorer.name} cannot judge this task: "
                + ("its target is unfit" if hidden else wrong),
                where=at,
                wanted=f"a task that fits {where}",
                got=f"task {task.id}",
                fix="correct the task, or choose another scorer",
            )
