"""Loading suites: formats agree, memory is flat, ids and splits are what the file says."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from steelyard.errors import DataError
from steelyard.schema.message import Message
from steelyard.schema.task import Task
from steelyard.tasks import load, redact, visible

ROWS = [
    {"id": "a", "input": "What is 1 + 1?", "target": "2", "conditions": {"level": "1"}, "note": "x, y"},
    {"id": "b", "input": 'Say "hi"\nand stop', "target": "hi", "conditions": {"level": "2"}, "cluster": "c"},
    {"id": "ü", "input": "Ärger?", "target": "nein", "conditions": {"level": "2"}, "split": "held_out"},
]


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def write_all(folder: Path) -> list[Path]:
    """The same content in every format and with every habit of writing it."""
    paths = [write_jsonl(folder / "t.jsonl", ROWS)]
    (folder / "crlf.jsonl").write_bytes(
        b"\xef\xbb\xbf"
        + b"\r\n\r\n".join(
            json.dumps(dict(reversed(r.items())), indent=None, ensure_ascii=False).encode() for r in ROWS
        )
    )
    (folder / "t.jsonl.gz").write_bytes(gzip.compress(paths[0].read_bytes()))
    (folder / "t.json").write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    names = ["id", "input", "target", "conditions.level", "note", "cluster", "split"]
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, names)
        out.writeheader()
        for row in ROWS:
            flat = {k: v for k, v in row.items() if k != "conditions"}
            out.writerow({**flat, "conditions.level": row["conditions"]["level"]})
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    (folder / "t.yaml").write_text("tasks: " + json.dumps(ROWS), encoding="utf-8")
    (folder / "u.yaml").write_text("name: t\ntasks: t.jsonl\n", encoding="utf-8")
    import pyarrow as pa
    from pyarrow import parquet

    keys = ["id", "input", "target", "conditions", "note", "cluster", "split"]
    parquet.write_table(pa.table({k: [r.get(k) for r in ROWS] for k in keys}), folder / "t.parquet")
    return sorted(p for p in folder.iterdir())


def test_every_format_gives_the_same_tasks_and_version(tmp_path: Path) -> None:
    suites = {p.name: load(p.name, base_dir=tmp_path) for p in write_all(tmp_path)}
    assert len(suites) == 9
    tasks = {name: [s.task(i) for i in range(len(s))] for name, s in suites.items()}
    for name, suite in suites.items():
        assert tasks[name] == tasks["t.jsonl"], name
        assert suite.header.version == suites["t.jsonl"].header.version, name
        assert (suite.header.n_public, suite.header.n_held_out) == (2, 1)
    assert tasks["t.jsonl"][0] == Task(
        id="a", input="What is 1 + 1?", target="2", conditions={"level": "1"}, fields={"note": "x, y"}
    )


def test_version_changes_with_any_content_and_with_order_but_not_with_the_header(tmp_path: Path) -> None:
    def version(rows: list[dict[str, object]], **options: object) -> str:
        return load(str(write_jsonl(tmp_path / "v.jsonl", rows)), options=options).header.version

    base = version(ROWS)
    assert version(ROWS, name="other") == base
    assert version([{"suite": {"description": "d"}}, *ROWS]) == base
    changed = [ROWS[::-1], ROWS[:2]]
    for i, row in enumerate(ROWS):
        for key, value in (("input", "z"), ("target", "z"), ("id", "z"), ("note", "z"), ("cluster", "z")):
            changed.append([*ROWS[:i], {**row, key: value}, *ROWS[i + 1 :]])
        changed.append([*ROWS[:i], {**row, "conditions": {"level": "9"}}, *ROWS[i + 1 :]])
    versions = [version(rows) for rows in changed]
    assert len({base, *versions}) == len(versions) + 1


def test_numbers_and_null_in_json_equal_csv_cells(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "n.jsonl", [{"input": "q", "target": 18, "year": 1999, "x": None}])
    (tmp_path / "n.csv").write_text("input,target,year,x\nq,18,1999,\n")
    assert (
        load("n.jsonl", base_dir=tmp_path).header.version == load("n.csv", base_dir=tmp_path).header.version
    )


def test_200_000_tasks_cost_less_than_10_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("w") as file:
        for i in range(200_000):
            row = {
                "id": f"task-{i}",
                "input": f"What is {i} + {i}? Think, then answer.",
                "target": str(2 * i),
            }
            file.write(json.dumps(row) + "\n")
    code = """
        import resource, sys
        from steelyard.tasks import load
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak()
        suite = load(sys.argv[1])
        assert suite.task(199_999).target == "399998"
        print(peak() - before)
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], capture_output=True, text=True, check=True
    )
    grown = float(out.stdout)
    assert grown < 10, f"peak grew by {grown:.1f} MB for 200,000 tasks"


def test_columns_can_be_mapped_by_name_path_list_and_mapping(tmp_path: Path) -> None:
    row = {
        "data": {"question": "q?", "answer": "y", "more": 1}, "A": "x", "B": "y", "lang": "en", "tries": [3, 4],
        "dotted.name": "c1",
    }  # fmt: skip
    write_jsonl(tmp_path / "m.jsonl", [row])
    fields = {
        "input": "data.question", "target": "data.answer", "choices": ["A", "B"], "id": "tries[1]",
        "conditions": {"language": "lang"}, "cluster": "dotted.name",
    }  # fmt: skip
    task = load("m.jsonl", base_dir=tmp_path, options={"fields": fields}).task(0)
    assert task == Task(
        id="4", input="q?", target="y", choices=("x", "y"), conditions={"language": "en"}, cluster="c1",
        fields={"data": {"more": 1}, "tries": [3, None]},
    )  # fmt: skip


def test_messages_and_tools_are_read_as_people_write_them(tmp_path: Path) -> None:
    row = {
        "input": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    }  # fmt: skip
    task = load(str(write_jsonl(tmp_path / "m.jsonl", [row]))).task(0)
    assert isinstance(task.input, tuple)
    assert [m.role for m in task.input] == ["system", "user", "assistant", "tool"]
    assert isinstance(task.input[0], Message)
    assert task.input[2].tool_calls[0].name == "f"
    assert task.tools[0].parameters == {"type": "object"}


def test_held_out_share_is_drawn_by_id_and_stays_when_tasks_are_added(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": f"t{i}", "input": "q", "target": "a"} for i in range(4000)]
    options = {"held_out": 0.3, "split_seed": 7}
    small = load(str(write_jsonl(tmp_path / "s.jsonl", rows[:2000])), options=options)
    large = load(str(write_jsonl(tmp_path / "l.jsonl", rows)), options=options)
    assert [small.task(i).split for i in range(2000)] == [large.task(i).split for i in range(2000)]
    share = large.header.n_held_out / 4000
    assert abs(share - 0.3) < 0.03, f"held out {share:.3f} of 4000, wanted 0.3"
    other = load(str(tmp_path / "l.jsonl"), options={"held_out": 0.3, "split_seed": 8})
    assert other.header.version != large.header.version


def test_a_cluster_is_not_divided_when_split_by_cluster(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"input": f"q{i}", "target": "a", "cluster": f"c{i % 50}"} for i in range(500)
    ]
    suite = load(
        str(write_jsonl(tmp_path / "c.jsonl", rows)), options={"held_out": 0.5, "split_by": "cluster"}
    )
    sides: dict[str, set[str]] = {}
    for i in range(len(suite)):
        task = suite.task(i)
        sides.setdefault(task.cluster, set()).add(task.split)
    assert all(len(s) == 1 for s in sides.values())
    assert {"public", "held_out"} == set().union(*sides.values())


def test_redacted_held_out_tasks_keep_only_id_conditions_and_split(tmp_path: Path) -> None:
    suite = load(str(write_jsonl(tmp_path / "t.jsonl", ROWS)))
    shown = [visible(suite).task(i) for i in range(3)]
    assert shown[:2] == [suite.task(0), suite.task(1)]
    assert shown[2] == Task(id="ü", conditions={"level": "2"}, split="held_out") == redact(suite.task(2))
    assert suite.visible(reveal=True).task(2) == suite.task(2)


def test_an_error_in_a_held_out_row_does_not_repeat_its_content(tmp_path: Path) -> None:
    row = {"input": "q", "target": "SECRET", "choices": ["HIDDEN", "VEILED"], "split": "held_out"}
    with pytest.raises(DataError, match=r"t\.jsonl:1: the target is not among the choices") as e:
        load(str(write_jsonl(tmp_path / "t.jsonl", [row])))
    assert not any(word in str(e.value) for word in ("SECRET", "HIDDEN", "VEILED"))


@pytest.mark.parametrize("wrong", [{"cluster": ["SECRET"]}, {"id": {"SECRET": 1}}, {"id": "SECRET\n"}])
@pytest.mark.parametrize("how", ["named", "drawn"])
def test_nor_does_one_that_comes_before_the_split(tmp_path: Path, wrong: dict[str, object], how: str) -> None:
    row = {"input": "q", "target": "a", **wrong} | ({"split": "held_out"} if how == "named" else {})
    with pytest.raises(DataError) as e:
        load(
            str(write_jsonl(tmp_path / "t.jsonl", [row])), options={"held_out": 0.5} if how == "drawn" else {}
        )
    assert "SECRET" not in str(e.value)


def test_a_file_that_changes_after_loading_is_not_read_on(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", ROWS)
    suite = load(str(path))
    path.write_text(path.read_text().replace("1 + 1", "1 + 2") + "\n")
    with pytest.raises(DataError, match="was changed while it was in use"):
        suite.task(0)


def test_ids_by_hash_stay_when_rows_are_added(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"input": f"q{i}", "target": "a"} for i in range(4)]
    before = load(str(write_jsonl(tmp_path / "a.jsonl", rows[1:])), options={"ids": "hash"})
    after = load(str(write_jsonl(tmp_path / "b.jsonl", rows)), options={"ids": "hash"})
    assert [before.task(i).id for i in range(3)] == [after.task(i + 1).id for i in range(3)]
    assert [load(str(tmp_path / "b.jsonl")).task(i).id for i in range(4)] == ["1", "2", "3", "4"]


def test_yaml_takes_texts_as_written_and_options_from_its_top(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: mine\ncanary: GUID-1\nscorer: exact\nfields: {input: q}\ntasks:\n"
        "  - {q: Norway, target: no}\n  - {q: agent, target: 007}\n  - {q: day, target: 2024-01-02}\n"
    )
    suite = load("s.yaml", base_dir=tmp_path)
    assert [suite.task(i).target for i in range(3)] == ["no", "007", "2024-01-02"]
    assert (suite.header.name, suite.header.canary, suite.header.scorer) == (
        "mine",
        "GUID-1",
        {"type": "exact"},
    )


def test_choices_from_a_cell_and_targets_by_letter_text_or_index(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("input,choices,target\nq,x|y|z,B\n")
    task = load("c.csv", base_dir=tmp_path, options={"choice_separator": "|"}).task(0)
    assert (task.choices, task.target) == (("x", "y", "z"), "B")
    write_jsonl(tmp_path / "i.jsonl", [{"input": "q", "choices": ["x", "y"], "target": 1}])
    assert load("i.jsonl", base_dir=tmp_path, options={"target_index": 0}).task(0).target == "y"


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz", "s.csv"])
def test_where_keeps_only_the_rows_that_hold_a_value(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, object]] = [
        {"task": t, "i": i, "mode": m, "input": f"{t} {i} {m}?", "target": str(i)}
        for i in range(5) for m in ("direct", "cot") for t in ("a", "b")
    ]  # fmt: skip
    path = tmp_path / name
    if name == "s.csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        raw = "".join(json.dumps(r) + "\n" for r in rows).encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    options = {
        "where": {"mode": "cot", "task": "b"},
        "fields": {"id": ["task", "i"], "cluster": "task"},
    }
    suite = load(str(path), options=options)
    assert [suite.task(i).id for i in range(len(suite))] == [f"b:{i}" for i in range(5)]
    assert [suite.task(i).input for i in (4, 0)] == ["b 4 cot?", "b 0 cot?"]
    assert suite.task(2).cluster == "b"
    assert suite.header.n_public == 5
    assert len(load(str(path), options={"where": {"i": 3}})) == 4


def test_where_that_leaves_nothing_and_ids_with_a_part_missing_are_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "s.jsonl", [{"input": "x", "target": "y", "mode": "a"}])
    with pytest.raises(DataError, match="no row is left after `where`"):
        load(str(path), options={"where": {"mode": "b"}})
    with pytest.raises(DataError, match="no column `part`"):
        load(str(path), options={"fields": {"id": ["mode", "part"]}})
