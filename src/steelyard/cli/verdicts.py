"""Verdicts for people and for CI: plain lines, JUnit XML, a Markdown comment.

Nothing is decided here. Names come from contestants and are hostile: control characters are shown, Markdown and XML
specials escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from steelyard.cli.out import clean
from steelyard.unknown import Unknown, plain

if TYPE_CHECKING:
    from steelyard.decide.compare import Comparison, Comparisons
    from steelyard.decide.diagnose import Diagnosis
    from steelyard.decide.gate import Check, GateReport
    from steelyard.decide.horizons import AgentHorizon
    from steelyard.decide.knowing import Knowing
    from steelyard.decide.ranking import Ranking
    from steelyard.decide.selection import Selection, StageChoice
    from steelyard.stats.base import Estimate, Figure, Interval

FAILURES = ("regression", "undecided")
"""Outcomes that JUnit calls failures: a skipped test would read as a pass. The others but `pass` are errors."""


def with_methods(found: object, methods: Mapping[str, str]) -> dict[str, object]:
    """A result for JSON, with how those figures are made that carry no method of their own."""
    out = plain(found)
    assert isinstance(out, dict)
    return {**out, "methods": dict(methods)}


def line(text: str) -> str:
    """One line: nothing in a name may begin another."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def number(value: Figure, digits: int = 4) -> str:
    """A figure, or why there is none."""
    return str(value) if isinstance(value, Unknown) else f"{value:.{digits}f}"


def _chance(p: Figure) -> str:
    """A p-value for a table's cell; never 0, which no finite table shows."""
    if isinstance(p, Unknown):
        return "unknown"
    return "<0.0001" if p < 0.00005 else f"{p:.4f}"


def ends(interval: Interval | Unknown, digits: int = 4) -> str:
    """[low, high], or why there is no interval."""
    if isinstance(interval, Unknown):
        return f"({interval})"
    return f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def short(interval: Interval | Unknown) -> str:
    """As `ends`, for a table's cell: the reason stands below the table."""
    return "unknown" if isinstance(interval, Unknown) else ends(interval)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines; the first column left, the others right."""
    cells = [[line(c) for c in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    return [
        "  ".join(
            c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]


def junit(report: GateReport) -> str:
    """JUnit XML, one test case a check; the type of a failure or error is the outcome."""
    failures = sum(c.outcome.value in FAILURES for c in report.checks)
    errors = sum(c.outcome.value not in (*FAILURES, "pass") for c in report.checks)
    counts = f'tests="{len(report.checks)}" failures="{failures}" errors="{errors}"'
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="steelyard" {counts}>',
        f'  <testsuite name="steelyard gate" {counts}>',
    ]
    for check in report.checks:
        name = quoteattr(line(f"{check.contestant}: {check.subject}"))
        out.append(f"    <testcase classname={quoteattr(line(check.rule))} name={name}>")
        text = escape("\n".join(line(x) for x in told(check)))
        if check.outcome.value == "pass":
            out.append(f"      <system-out>{text}</system-out>")
        else:
            tag = "failure" if check.outcome.value in FAILURES else "error"
            message = quoteattr(line(check.reasons[0] if check.reasons else ""))
            out.append(f'      <{tag} type="{check.outcome.value}" message={message}>{text}</{tag}>')
        out.append("    </testcase>")
    return "\n".join([*out, "  </testsuite>", "</testsuites>"]) + "\n"


def markdown(report: GateReport) -> str:
    """A comment for a pull request: the verdict, a row a check, reasons below."""
    out = [
        f"### Steelyard gate: {report.outcome.value}",
        "",
        "| rule | contestant | part | verdict | value | interval | held against | graded |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for check in report.checks:
        graded = ", ".join(f"{c.share:.1%}" for c in check.coverage) or "none"
        cells = [check.rule, check.contestant, check.subject, check.outcome.value, number(check.value),
                 ends(check.interval), check.threshold, graded]  # fmt: skip
        out.append("| " + " | ".join(_cell(c) for c in cells) + " |")
    out.append("")
    for check in report.checks:
        out += [f"- {_cell(check.contestant)}, {_cell(check.subject)}: {_cell(r)}" for r in told(check)]
    return "\n".join([*out, *(f"- note: {_cell(n)}" for n in report.notes)]) + "\n"


def gate_text(report: GateReport) -> str:
    """Plain lines; the last is the verdict."""
    out = []
    for check in report.checks:
        head = (
            f"{check.outcome.value:14}  {check.rule}: {check.contestant}, {check.subject} ({check.threshold})"
        )
        out += [line(head), *(f"                {line(r)}" for r in told(check))]
    out += [line(f"note: {n}") for n in report.notes]
    return "\n".join([*out, f"gate: {report.outcome.value}"])


def told(check: Check) -> tuple[str, ...]:
    """A check's reasons, what would settle it, and the method."""
    method = () if isinstance(check.interval, Unknown) else (f"method: {check.interval.method}",)
    return (*check.reasons, *(f"to settle it: {w}" for w in check.would_decide), *method)


def compare_text(found: Comparisons) -> str:
    """A row a contestant, then reasons and what would decide it."""
    rows = [("contestant", "verdict", "mean", "baseline", "difference", "interval", "p")]
    for c in found.items:
        rows.append(
            (c.contestant, c.verdict.value, f"{c.paired.contestant_mean:.4f}", f"{c.paired.baseline_mean:.4f}",
             number(c.paired.difference.value), short(c.interval),
             _chance(c.p_value))
        )  # fmt: skip
    out = [line(f"against {found.baseline}, error {found.alpha:g} for all together ({found.method})")]
    out += columns(rows)
    for c in found.items:
        out += [line(f"{c.contestant}: {r}") for r in c.reasons]
        method = c.paired.difference.method if isinstance(c.interval, Unknown) else c.interval.method
        out.append(line(f"{c.contestant}: method {method}; p by {c.p_method}"))
        if c.ungraded and not isinstance(c.worst_best, Unknown):
            low, high = c.worst_best
            out.append(
                line(
                    f"{c.contestant}: {c.ungraded} ungraded trials could move it to {low:+.4f} or {high:+.4f}"
                )
            )
        out += [line(f"{c.contestant}: {w}") for w in c.would_decide]
    out += spending_lines(found.items)
    return "\n".join([*out, *(line(f"note: {n}") for n in found.notes)])


def spending_lines(items: Sequence[Comparison]) -> list[str]:
    """What each contestant took beside the baseline; nothing of a table that does not give it."""
    told: list[str] = []
    rows: list[tuple[str, ...]] = [
        ("contestant", "took", "mean", "interval", "baseline", "interval", "difference", "interval")
    ]
    for c in items:
        for what, found in c.spending.told:
            if isinstance(found, Unknown):
                told.append(line(f"{c.contestant}: {what}: {found}"))
                continue
            cells = [x for e in (found.contestant, found.baseline, found.difference) for x in _amount(e)]
            rows.append((c.contestant, what, *cells))
            whys = (found.contestant.interval, found.baseline.interval, found.difference.interval)
            reasons = dict.fromkeys(w.reason for w in whys if isinstance(w, Unknown))
            told += [line(f"{c.contestant}: {what}: no interval: {r}") for r in reasons]
            if found.left_out:
                told.append(
                    line(f"{c.contestant}: {what}: not known on {found.left_out} tasks, which are left out")
                )
    if len(rows) == 1:
        return told
    how = "each interval by itself, those of differences (paired by task) for all contestants together"
    return ["", *columns(rows), *told, how]


def _amount(e: Estimate) -> tuple[str, str]:
    i = e.interval
    span = "unknown" if isinstance(i, Unknown) else f"[{i.low:.4g}, {i.high:.4g}]"
    return "unknown" if isinstance(e.value, Unknown) else f"{e.value:.4g}", span


def select_text(found: Selection) -> str:
    """Stage by stage: the choice, every candidate with its reason, the front, what would change it."""
    out: list[str] = []
    for stage in found.stages:
        out += [*_stage(stage), ""]
    cost = str(found.cost) if isinstance(found.cost, Unknown) else f"{found.cost:.6g}"
    return "\n".join([*out, f"one trial through all stages costs {cost}"])


def _stage(stage: StageChoice) -> list[str]:
    out = [line(f"stage {stage.stage}: {stage.objective}")]
    if isinstance(stage.chosen, Unknown):
        out.append(line(f"  no choice: {stage.chosen.reason}; best guess {stage.provisional}"))
    else:
        sure = stage.confidence_in_price
        share = "" if isinstance(sure, Unknown) else f" (lowest price in {sure:.0%} of samples)"
        out.append(line(f"  chosen: {stage.chosen}{share}"))
    for c in stage.candidates:
        cost = "unknown" if isinstance(c.cost, Unknown) else f"{c.cost:.6g}"
        quality = f"{number(c.quality.value)} {ends(c.quality.interval)}"
        out.append(line(f"  {c.standing.value:10}  {c.contestant}: quality {quality}, cost {cost}; {c.why}"))
    for p in stage.front:
        where = "on the front" if p.on_front else "behind it"
        out.append(line(f"  front: {p.contestant} {where}, on it in {p.confidence:.0%} of samples"))
    return [*out, *(line(f"  would change it: {c.sentence}") for c in stage.changes)]


def plan_text(plans: Sequence[Knowing]) -> str:
    """A sentence a plan, with its range, its method, and what the pilot itself can tell."""
    out = []
    for p in plans:
        out.append(line(p.sentence))
        if not isinstance(p.design, Unknown):
            if not isinstance(p.design.tasks_range, Unknown):
                low, high = p.design.tasks_range
                out.append(f"  the pilot's own uncertainty: {low} to {high} tasks (80 %)")
            out += [line(f"  {n}") for n in p.design.notes]
            out.append(line(f"  method: {p.design.method}"))
        noise = ", ".join(f"{v:.4g}" for v in p.split.noise)
        label = "between tasks and trials" if p.split.mixed else "between tasks"
        out.append(f"  variance {label} {p.split.between:.4g}; of a trial {noise}")
        if not isinstance(p.now, Unknown):
            what = "half-width" if p.goal.difference is None else "difference that would be detected"
            out.append(f"  {what} with what is at hand: {p.now:.4g}")
        if isinstance(p.cost, Unknown):
            out.append(line(f"  cost: {p.cost}"))
    return "\n".join(out)


def rank_text(found: Ranking) -> str:
    """Best first: rank interval, tie group, Elo with its interval, chance to beat the others."""
    rows = [("contestant", "rank", "ties", "Elo", "interval", "beats others", "votes")]
    for r in found.rows:
        span = f"{r.rank.best}" if r.rank.best == r.rank.worst else f"{r.rank.best}-{r.rank.worst}"
        rows.append(
            (r.contestant, span, str(r.rank.group), number(r.elo.value, 1), ends(r.elo.interval, 1),
             number(r.win_rate.value, 3), str(r.votes))
        )  # fmt: skip
    out = [*columns(rows), line(f"method: {found.method}")]
    if not isinstance(found.position, Unknown):
        out.append(
            f"first side's advantage: {number(found.position.value)} logits {ends(found.position.interval)}"
        )
    for name, e in found.style.items():
        out.append(line(f"style {name}: {number(e.value)} logits {ends(e.interval)}"))
    if found.rows:
        out.append(line(f"ranks: {found.rows[0].rank.method}"))
    return "\n".join([*out, *(line(f"note: {n}") for n in found.notes)])


def horizon_text(found: Sequence[AgentHorizon]) -> str:
    """A row a contestant: minutes at each quantile with its interval, average success, runs; then what is not known."""
    quantiles = list(found[0].minutes)
    heads = [t for q in quantiles for t in (f"{q} min", "interval")]
    rows, unknown = [("contestant", *heads, "average", "runs", "tasks")], []
    for h in found:
        cells = []
        for q in quantiles:
            value, interval = h.minutes[q].value, h.minutes[q].interval
            cells.append("unknown" if isinstance(value, Unknown) else f"{value:.4g}")
            cells.append(
                "unknown" if isinstance(interval, Unknown) else f"[{interval.low:.4g}, {interval.high:.4g}]"
            )
            why = value if isinstance(value, Unknown) else interval
            unknown += [f"{h.contestant}: {q} {why}"] if isinstance(why, Unknown) else []
        rows.append((h.contestant, *cells, f"{h.average:.3f}", str(h.runs), str(h.tasks)))
    out = [*columns(rows), line(f"method: {found[0].minutes[quantiles[0]].method}"), *map(line, unknown)]
    return "\n".join([*out, *(line(f"{h.contestant}: {n}") for h in found for n in h.notes)])


def doctor_text(found: Diagnosis) -> str:
    """Facts, then a line a question."""
    out = [line(f) for f in found.facts]
    width = max((len(f.question) for f in found.findings), default=0)
    for f in found.findings:
        asks = f" (steelyard {f.command})" if f.command else ""
        out.append(line(f"{f.standing.value:5} {f.question:{width}}  {f.sentence}{asks}"))
    return "\n".join([*out, *(line(f"note: {n}") for n in found.notes)])


def _cell(text: str) -> str:
    escaped = line(text).replace("\\", "\\\\")
    for mark in "|*_`[]<>#":
        escaped = escaped.replace(mark, "\\" + mark)
    return escaped
