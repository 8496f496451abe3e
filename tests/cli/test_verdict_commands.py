"""compare, gate and select from a file to a verdict in one command: text, JSON, reports, exit codes, bad input."""

from __future__ import annotations

import csv
import gzip
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.decide.tables import columns

from steelyard.cli.main import main

BASE = np.random.default_rng(0).beta(2, 1, 300)


def steelyard(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def write(path: Path, table: dict[str, list[object]]) -> Path:
    stream = io.StringIO()
    if ".jsonl" in path.name:
        for row in zip(*table.values(), strict=True):
            stream.write(json.dumps(dict(zip(table, row, strict=True))) + "\n")
    else:
        writer = csv.writer(stream, delimiter="\t" if ".tsv" in path.name else ",")
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    raw = stream.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def table(shift: float, n: int = 300, **kw: object) -> dict[str, list[object]]:
    return columns({"old": BASE[:n], "new": np.clip(BASE[:n] + shift, 0, 1)}, 2, 1, **kw)  # type: ignore[arg-type] # passed on


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text("gate: regression\nbaseline: old\nmargin: 0.03\n")
    return path


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.csv.gz", "r.jsonl.gz"])
def test_a_file_of_any_shape_gives_a_verdict_in_one_command(tmp_path: Path, name: str) -> None:
    got = steelyard("compare", write(tmp_path / name, table(0.15)))
    assert got.exit_code == 0, got.output
    assert "better" in got.output
    assert "baseline: old, the first in the table" in got.output


def test_parquet_is_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    import pyarrow.parquet as pq

    pq.write_table(pa.table(table(0.15)), tmp_path / "r.parquet")
    assert "better" in steelyard("compare", tmp_path / "r.parquet", "--baseline", "old").output


def test_json_names_every_method(tmp_path: Path) -> None:
    got = steelyard("compare", write(tmp_path / "r.csv", table(0.15)), "--json")
    found = json.loads(got.output)
    item = found["items"][0]
    assert item["verdict"] == "better"
    assert item["interval"]["method"]
    assert item["paired"]["difference"]["method"]
    assert item["p_method"]
    assert found["method"]
    assert found["methods"]["worst_best"]


def test_compare_exit_codes_only_when_asked(tmp_path: Path) -> None:
    worse = write(tmp_path / "w.csv", table(-0.3))
    open_ = write(tmp_path / "u.csv", table(0.0, 20))
    assert steelyard("compare", worse).exit_code == 0
    assert steelyard("compare", worse, "--exit-code").exit_code == 10
    assert steelyard("compare", open_, "--exit-code").exit_code == 11


def test_gate_exit_code_is_the_verdict(tmp_path: Path, rules: Path) -> None:
    cases = {
        0: table(0.1), 10: table(-0.3), 11: table(0.0, 20),
        12: table(0.1, ungraded={"new": 0.3}), 7: table(0.1, ungraded={"new": 1.0}),
    }  # fmt: skip
    for code, rows in cases.items():
        got = steelyard("gate", rules, write(tmp_path / f"r{code}.csv", rows))
        assert got.exit_code == code, got.output


def test_gate_writes_its_reports(tmp_path: Path, rules: Path) -> None:
    xml, comment = tmp_path / "j.xml", tmp_path / "c.md"
    got = steelyard(
        "gate",
        rules,
        write(tmp_path / "r.csv", table(0.0, 20)),
        "--junit",
        xml,
        "--markdown",
        comment,
        "--json",
    )
    assert got.exit_code == 11
    assert json.loads(got.output)["exit_code"] == 11
    failure = next(ET.fromstring(xml.read_text()).iter("failure"))
    assert failure.attrib["type"] == "undecided"
    assert comment.read_text().startswith("### Steelyard gate: undecided")


def test_hostile_names_do_nothing_in_any_output(tmp_path: Path, rules: Path) -> None:
    rows = table(0.0, 20)
    rows["contestant"] = ['<b>|x|\x1b[31m\u202e"&*\n# big' if c == "new" else c for c in rows["contestant"]]
    path = write(tmp_path / "r.jsonl", rows)
    xml, comment = tmp_path / "j.xml", tmp_path / "c.md"
    got = steelyard("gate", rules, path, "--junit", xml, "--markdown", comment)
    ET.fromstring(xml.read_text())
    for text in (got.output, xml.read_text(), comment.read_text(), steelyard("compare", path).output):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\n# big" not in text
    assert "\\<b\\>\\|x\\|" in comment.read_text()


def test_select_chooses_and_says_why(tmp_path: Path) -> None:
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "stages:\n- name: write\n  objective: quality within 10 points of the best, 95 %, cheapest\n"
    )
    rows = columns({"big": BASE, "small": BASE}, 3, 1, cost={"big": 10.0, "small": 1.0})
    got = steelyard("select", pipeline, write(tmp_path / "r.csv", rows))
    assert got.exit_code == 0, got.output
    assert "chosen: small" in got.output
    found = json.loads(steelyard("select", pipeline, tmp_path / "r.csv", "--json").output)
    assert found["stages"][0]["chosen"] == "small"
    assert {p["contestant"] for p in found["stages"][0]["front"]} == {"big", "small"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task,contestant,score\na,x,1\na,y,nan\n", "line 3"),
        ("task,contestant,score\na,x,1\na,y,inf\n", "NaN or infinite"),
        ("task,contestant,trial,score\na,x,1,1\nb,x,1,1\na,x,1,0\n", "line 4"),
        ("task,contestant,score\na,x,1\n", "only one contestant"),
        ("task,contestant,score\n", "no rows"),
        ("", "empty"),
        ("task,contestant,score\na,x\n", ":2"),
        ("task,task,score\na,x,1\n", "each once"),
        ("task,contestant,score,answer\na,x,1,p\na,y,1,q\n", "--ignore answer"),
        ("task,contestant,score\na,x,80\na,y,70\n", "--bounds"),
        ('task,contestant,score\na,x,"1\n', "quotes"),
        ("\ufefftask;contestant;score\na;x;oops\na;y;1\n", "line 2"),
    ],
)
def test_bad_tables_end_with_3_and_name_the_lines(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    got = steelyard("compare", path)
    assert got.exit_code == 3, got.output
    assert says in got.output
    assert "Traceback" not in got.output


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.csv", b"task,score\n\xff\xfe,1\n"), ("a.csv.gz", b"\x1f\x8b\x08broken"), ("a.jsonl", b'{"task": 1'),
        ("a.json", b"[1]"), ("a.parquet", b"PAR1"), ("b.jsonl", b"[]\n"), ("missing.csv", None),
    ],
)  # fmt: skip
def test_broken_files_end_with_3(tmp_path: Path, name: str, raw: bytes | None) -> None:
    if raw is not None:
        (tmp_path / name).write_bytes(raw)
    got = steelyard("compare", tmp_path / name)
    assert got.exit_code == 3, got.output


def test_bad_rule_files_end_with_3(tmp_path: Path) -> None:
    data, bad = write(tmp_path / "r.csv", table(0.1)), tmp_path / "bad.yaml"
    for text, says in (("gate: [", "bad.yaml:"), ("gate: regresion", "did you mean"), ("", "not a rule")):
        bad.write_text(text)
        got = steelyard("gate", bad, data)
        assert got.exit_code == 3, got.output
        assert says in got.output
    assert steelyard("gate", tmp_path / "none.yaml", data).exit_code == 3


def test_filters_and_roles_on_the_command_line(tmp_path: Path) -> None:
    rows = table(0.15)
    rows["language"] = ["de" if int(str(t)[1:]) % 2 else "en" for t in rows["task"]]
    rows["points"] = [None if s is None else 100 * float(str(s)) for s in rows.pop("score")]
    path = write(tmp_path / "r.csv", rows)
    got = steelyard("compare", path, "--column", "score=points", "--bounds", 0, 100, "--where", "language=de", "--json",
                    "--margin", 2)  # fmt: skip
    found = json.loads(got.output)
    assert found["items"][0]["paired"]["difference"]["n_tasks"] == 150
    assert steelyard("compare", path, "--where", "language").exit_code == 2


def test_no_p_value_is_printed_as_zero(tmp_path: Path) -> None:
    got = steelyard("compare", write(tmp_path / "r.csv", table(0.15)))
    assert "<0.0001" in got.output
    assert " 0.0000" not in got.output.splitlines()[2]
