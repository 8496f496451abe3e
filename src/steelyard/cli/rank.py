"""`steelyard rank`: ratings with intervals, rank intervals and tie groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import data, emit_json, guarded, say
from steelyard.cli.source import Source, load, load_table, pair, source_options, split_source
from steelyard.cli.verdicts import rank_text

if TYPE_CHECKING:
    from steelyard.stats.ratings_votes import Votes


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    feature: tuple[str, ...]
    position: bool
    sides_known: bool
    cluster: str
    level: float
    ridge: float
    anchor: str
    seed: int
    quarantined: bool
    as_json: bool


@click.command("rank")
@source_options
@click.option(
    "--feature", multiple=True, metavar="NAME", help="Control for this style column (side a minus side b)."
)
@click.option(
    "--position/--no-position", default=True, show_default=True, help="Fit the first side's advantage."
)
@click.option(
    "--sides-known/--sides-unknown", default=True, show_default=True, help="model_a was shown first."
)
@click.option("--cluster", type=click.Choice(["auto", "none", "prompt", "voter", "both"]), default="auto",
              show_default=True, help="What votes have in common.")  # fmt: skip
@click.option("--level", default=0.95, show_default=True, help="Confidence.")
@click.option(
    "--ridge",
    default=0.0,
    show_default=True,
    help="Pull to the middle, weight in votes.",
)
@click.option("--anchor", default="", metavar="NAME", help="Fix NAME at 1000.")
@click.option("--seed", default=0, show_default=True, help="For the rank intervals.")
@click.option("--quarantined", is_flag=True, help="Count kept votes that are in quarantine, too.")
@json_option
@guarded
def command(**options: object) -> None:
    """Rank contestants from SOURCE: votes (model_a, model_b, winner), or results compared task by task."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.ranking import ranking, ranking_of_results
    from steelyard.stats.ratings import RatingOptions

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    votes = votes_of(source, o.feature, quarantined=o.quarantined)
    how = RatingOptions(
        position=o.position, sides_known=o.sides_known, cluster=o.cluster, level=o.level, ridge=o.ridge  # type: ignore[arg-type] # click.Choice
    )  # fmt: skip
    if votes is None:
        say("no votes: contestants are compared task by task")
        if o.feature:
            say(f"not used: --feature {o.feature[0]} (a task's results have no style)")
        found = ranking_of_results(load(source), how, anchor=o.anchor, seed=o.seed)
    else:
        found = ranking(votes, how, anchor=o.anchor, seed=o.seed)
    if o.as_json:
        emit_json(found)
    else:
        data(rank_text(found))


def votes_of(source: Source, features: tuple[str, ...] = (), *, quarantined: bool = False) -> Votes | None:
    """The votes of SOURCE; None when it holds results."""
    # lazy: numpy and scipy are needed only now
    from steelyard.errors import RowsError
    from steelyard.ledger.tables import feature_columns, is_votes, located, votes_columns
    from steelyard.stats.ratings_votes import votes

    table = load_table(source, quarantined=quarantined)
    rename = dict(pair(c, "--column") for c in source.column)
    if table is None or not (is_votes(table) or {"model_a", "winner"} & set(rename)):
        return None
    for note in table.notes:
        say(note)
    found = votes_columns(table, rename)
    unused = [
        n for n, c in table.columns.items() if n not in features and not any(c is f for f in found.values())
    ]
    if unused:
        say(f"columns not used: {', '.join(unused)} (a style feature: --feature {unused[0]})")
    if str(found["winner"][0]).strip() in ("0", "0.0", "1", "1.0", "0.5"):
        say("winner: numbers are read as model_a's score (1 won, 0.5 tie, 0 lost)")
    sides = (found["model_a"], found["model_b"], found["winner"])
    try:
        read = votes(*sides, prompt=found.get("prompt"), voter=found.get("voter"),
                     features=feature_columns(table, features) or None)  # fmt: skip
    except RowsError as e:
        raise located(e, table) from e
    return read
