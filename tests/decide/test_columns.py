"""Reading columns: what is accepted under which name, and refusals that name the rows and what to do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.decide.columns import Reading, from_columns
from steelyard.errors import DataError, RowsError, UserError

GOOD = {
    "task": ["a", "a", "b", "b"],
    "contestant": ["x", "y", "x", "y"],
    "trial": [0, 0, 0, 0],
    "score": [1, 0, 1, 1],
}


def test_the_plain_table_is_read() -> None:
    got = from_columns(GOOD)
    assert got.names == ("x", "y")
    assert got.task.labels == ("a", "b")
    assert got.score.tolist() == [1, 0, 1, 1]
    assert got.graded.all()
    assert got.notes == ()


def test_names_of_other_tools_are_read_and_said() -> None:
    got = from_columns(
        {"sample_id": [1, 1], "Model": ["x", "y"], "epoch": [1, 1], "correct": ["true", "FALSE"]}
    )
    assert got.score.tolist() == [1, 0]
    assert got.task.labels == ("1",)
    assert any("sample_id is read as task" in n for n in got.notes)


def test_one_and_the_text_one_are_the_same_task() -> None:
    assert from_columns({"task": [1, "1", 2.0], "score": [1, 1, 1], "trial": [0, 1, 0]}).task.labels == (
        "1",
        "2",
    )


def test_an_empty_score_is_ungraded_never_zero() -> None:
    got = from_columns(GOOD | {"score": ["1", "", None, "0.5"]})
    assert got.graded.tolist() == [True, False, False, True]


def test_outcomes_say_what_a_score_cannot() -> None:
    got = from_columns(
        GOOD | {"outcome": ["passed", "ungraded", "abstained", "partial"], "score": [1, 0, "", 0.5]}
    )
    assert got.graded.tolist() == [True, False, True, True]
    assert got.abstained.tolist() == [False, False, True, False]
    assert got.score.tolist() == [1, 0, 0, 0.5]


def test_without_a_trial_column_rows_are_repeats_and_it_is_said() -> None:
    got = from_columns({"task": ["a", "a", "b"], "score": [1, 0, 1]})
    assert got.trial.tolist() == [0, 1, 0]
    assert "repeated trials" in got.notes[0]
    assert got.names == ("contestant",)


def test_conditions_are_found_named_and_filtered() -> None:
    got = from_columns(GOOD | {"language": ["de", "de", "en", "en"], "condition_difficulty": [1, 1, 2, 2]})
    assert set(got.conditions or {}) == {"language", "difficulty"}
    assert got.where({"language": "de"}).task.labels == ("a",)
    with pytest.raises(DataError, match="did you mean de"):
        got.where({"language": "d"})
    with pytest.raises(DataError, match="language"):
        got.where({"lang": "de"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"score": [1, float("nan"), 1, float("inf")]}, r"NaN or infinite \(rows 1, 3"),
        ({"score": ["1", "nan", "1", "1"]}, "row 1"),
        ({"score": [1, "one", 1, 1]}, "row 1"),
        ({"score": [1, 2, 1, 1]}, "--bounds"),
        ({"cost": [1, 1e300, 1, 1]}, "too large"),
        ({"trial": [0, 0, 0, "x"], "task": ["a", "a", "a", "b"]}, "row 2"),
        ({"task": ["a", None, "b", "b"]}, "task: missing"),
        ({"contestant": ["x", "", "x", "y"]}, "contestant: missing"),
        ({"cluster": ["p", "q", "p", "p"]}, "more than one cluster"),
        ({"cost": [1, -1, 1, 1]}, "negative"),
        ({"scor": [1, 1, 1, 1], "score": None}, "score"),
        ({"claster": [1, 1, 1, 1]}, "rename it to cluster"),
        ({"answer": ["w", "x", "y", "z"]}, "--ignore answer"),
        ({"outcome": ["won", "", "", ""]}, "row 0"),
        ({"score": [1, 1, 1]}, "4 rows"),
    ],
)
def test_what_is_wrong_is_refused_by_name(change: dict[str, list[object] | None], says: str) -> None:
    table = {k: v for k, v in (GOOD | change).items() if v is not None}
    with pytest.raises(UserError, match=says):
        from_columns(table, source="results.csv")


def test_refusals_name_the_file() -> None:
    with pytest.raises(RowsError, match=r"results.csv: score is NaN"):
        from_columns(GOOD | {"score": [1, float("nan"), 1, 1]}, source="results.csv")


@pytest.mark.parametrize("table", [{}, {"task": [], "score": []}, {"task": ["a"]}, {"score": [1]}])
def test_empty_and_half_tables_are_refused(table: dict[str, list[object]]) -> None:
    with pytest.raises(DataError):
        from_columns(table)


def test_columns_can_be_left_out_or_forced() -> None:
    table = GOOD | {"answer": ["w", "x", "y", "z"]}
    assert not from_columns(table, Reading(ignore=("answer",))).conditions
    assert "answer" in (from_columns(table, Reading(conditions=("answer",))).conditions or {})
    with pytest.raises(DataError, match="no column"):
        from_columns(table, Reading(conditions=("anser",)))


def test_columns_can_be_given_their_role_by_name() -> None:
    table = {
        "id": ["a", "b"],
        "score": [0.4, 9],
        "score_binarized": [0, 1],
        "alias": ["x", "x"],
        "note": ["q", "r"],
    }
    reading = Reading(rename={"score": "score_binarized", "contestant": "alias"}, ignore_rest=True)
    got = from_columns(table, reading)
    assert got.score.tolist() == [0, 1]
    assert got.names == ("x",)
    assert not got.conditions
    with pytest.raises(DataError, match="did you mean score_binarized"):
        from_columns(table, Reading(rename={"score": "score_binarised"}))


def test_unknown_contestants_are_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean gpt-4o"):
        from_columns({"task": [1, 1], "contestant": ["gpt-4o", "claude"], "score": [1, 1]}).of(["gpt4o"])


def test_bounds_may_be_others_or_none() -> None:
    table = {"task": ["a", "b"], "score": [55, 70]}
    assert from_columns(table, Reading(bounds=(0, 100))).bounds == (0, 100)
    assert from_columns(table, Reading(bounds=None)).score.tolist() == [55, 70]


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["task", "score", "contestant", "trial", "cluster", "cost", "x"]),
        st.lists(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=4), st.integers()), max_size=6
        ),
    )
)
def test_any_garbage_is_read_or_refused_with_a_user_error(table: dict[str, list[object]]) -> None:
    try:
        got = from_columns(table)
    except UserError:
        return
    assert got.rows > 0
    assert np.isfinite(got.score).all()


def test_names_are_read_whatever_their_capitals_and_marks() -> None:
    got = from_columns(
        {
            "Example ID": [1, 1],
            "Model name": ["x", "y"],
            "Correct?": ["Y", "n"],
            "Latency (ms)": ["250", 1000],
        }
    )
    assert got.names == ("x", "y")
    assert got.score.tolist() == [1, 0]
    assert got.seconds is not None
    assert got.seconds.tolist() == [0.25, 1.0]
    assert any("thousandths" in n for n in got.notes)


def test_milliseconds_that_are_named_by_hand_are_milliseconds_too() -> None:
    got = from_columns(GOOD | {"duration_ms": [500] * 4}, Reading(rename={"seconds": "duration_ms"}))
    assert got.seconds is not None
    assert got.seconds.tolist() == [0.5] * 4


def test_two_columns_of_one_role_are_refused() -> None:
    with pytest.raises(DataError, match="one score column"):
        from_columns(GOOD | {"Score": [0, 0, 0, 0]})


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["85%", "90 %", "70%", "1%"], "--bounds 0 100"),
        (["0,5", "0,25", ",5", "1,0"], r"0\.5, not 0,5"),
        (["1,234", "0,500", "2,000", "1,000"], "1.234 or as 1234"),
        (["$5", "0.2 s", "300ms", "1\u20ac"], "take the unit away"),
        (["maybe", "90 %", "1", "0"], "leave it empty"),
    ],
)
def test_numbers_in_foreign_writing_are_refused_with_what_to_do(cells: list[str], says: str) -> None:
    with pytest.raises(RowsError, match=says):
        from_columns(GOOD | {"score": cells})


def test_one_column_a_contestant_is_read_when_the_columns_are_named() -> None:
    wide = {
        "question": ["q1", "q2", "q3"],
        "gpt": [1, 0, ""],
        "claude": ["yes", "no", "yes"],
        "level": [1, 2, 2],
    }
    with pytest.raises(DataError, match="--column score=gpt --column score=claude"):
        from_columns({k: v for k, v in wide.items() if k != "level"})
    got = from_columns(wide, Reading(wide=("gpt", "claude")))
    assert got.names == ("gpt", "claude")
    assert got.score.tolist() == [1, 0, 0, 1, 0, 1]
    assert got.graded.tolist() == [True, True, False, True, True, True]
    assert set(got.conditions or {}) == {"level"}


def test_bad_cells_of_a_wide_table_are_named_by_its_own_rows() -> None:
    wide = {"task": ["q1", "q2", "q3"], "gpt": [1, 0, 1], "claude": [1, 0, "x"]}
    with pytest.raises(RowsError, match=r"\(row 2, ") as caught:
        from_columns(wide, Reading(wide=("gpt", "claude")))
    assert caught.value.rows == (2,)
    with pytest.raises(DataError, match="and a contestant column"):
        from_columns(wide | {"contestant": ["a"] * 3}, Reading(wide=("gpt", "claude")))
    with pytest.raises(DataError, match="no such score column"):
        from_columns(wide, Reading(wide=("gpt", "llama")))


def test_rows_of_several_models_are_not_silently_one_contestant() -> None:
    got = from_columns({"task": ["a", "a"], "score": [1, 0], "who": ["x", "y"]}, Reading(ignore_rest=True))
    assert any("--column contestant=NAME" in n for n in got.notes)


def test_a_table_of_votes_leads_to_rank() -> None:
    with pytest.raises(DataError, match="steelyard rank"):
        from_columns({"model_a": ["x"], "model_b": ["y"], "outcome": ["tie"]})
