"""The commands as a person or a script uses them: what they print, where, and with which code they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.schema.reply import Reply
from steelyard.testing.stub import Rule, StubOptions, prompt_of, stub_thread
from steelyard.wire.base import Request

ENV = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "ANTHROPIC", "STEELYARD"))}


def steelyard(*args: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *args],
        capture_output=True, text=True, cwd=cwd, timeout=120, env={**ENV, **(env or {})}, check=False,
    )  # fmt: skip


def write_tasks(folder: Path, n: int = 20, held_out: int = 0) -> Path:
    path = folder / "data.jsonl"
    with path.open("w") as f:
        for i in range(n):
            row: dict[str, object] = {"id": str(i), "input": f"question {i}", "target": str(i)}
            if i < held_out:
                row |= {"split": "held_out", "input": f"SECRET {i}", "target": f"HIDDEN {i}"}
            f.write(json.dumps(row) + "\n")
    return path


def last_word(request: Request) -> str:
    return prompt_of(request).split()[-1]


def test_try_prints_a_leaderboard_and_json(tmp_path: Path) -> None:
    write_tasks(tmp_path)
    with stub_thread(StubOptions(answer=last_word)) as stub:
        out = steelyard(
            "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, "--ledger", "led", cwd=tmp_path
        )
        assert out.returncode == 0, out.stderr
        assert "100.0" in out.stdout
        assert "steelyard show" in out.stderr
        out = steelyard(
            "try", "data.jsonl", "--model", "m", "--model", "n", "--base-url", stub.base_url, "--trials", "3",
            "--concurrency", "4", "--scorer", "includes", "--json", cwd=tmp_path, env={"STEELYARD_LEDGER": "elsewhere"},
        )  # fmt: skip
    assert out.returncode == 0, out.stderr
    said = json.loads(out.stdout)
    assert [line["contestant"] for line in said["overall"]] == ["m", "n"]
    assert said["overall"][0]["n_graded"] == 60
    assert said["overall"][0]["estimate"]["interval"]["high"] == 1.0
    assert (tmp_path / "elsewhere").is_dir()
    assert (tmp_path / "led").is_dir()
    assert not (tmp_path / ".steelyard").exists()


def test_a_cost_without_a_price_is_unknown_and_never_nothing(tmp_path: Path) -> None:
    write_tasks(tmp_path, 2)
    with stub_thread(StubOptions(answer=last_word)) as stub:
        out = steelyard("try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, cwd=tmp_path)
    assert "spent $0 + unknown" in out.stderr
    assert "$0" not in out.stdout
    listed = steelyard("show", cwd=tmp_path).stdout
    assert "cost unknown" in listed
    assert "$" not in listed
    assert json.loads(steelyard("show", "--json", cwd=tmp_path).stdout)[0]["unpriced"] == ["m"]


def test_show_verify_rescore_read_back_what_was_kept(tmp_path: Path) -> None:
    write_tasks(tmp_path)
    with stub_thread(StubOptions(answer=lambda r: f" {last_word(r)}. ")) as stub:
        steelyard("try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, cwd=tmp_path)
    shown = json.loads(steelyard("show", "last", "--json", cwd=tmp_path).stdout)
    assert shown["overall"][0]["estimate"]["value"] == 0.0
    trial = steelyard("show", "last", "--task", "7", cwd=tmp_path)
    assert "question 7" in trial.stdout
    again = steelyard("rescore", "last", "--scorer", "includes", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["changed"] == 20, again.stderr
    shown = json.loads(steelyard("show", "last", "--json", cwd=tmp_path).stdout)
    assert shown["overall"][0]["estimate"]["value"] == 1.0
    assert steelyard("verify", cwd=tmp_path).returncode == 0
    wrong = steelyard("verify", "last", "--head", "0" * 64, cwd=tmp_path)
    assert wrong.returncode == 13
    listed = steelyard("show", cwd=tmp_path)
    assert "complete" in listed.stdout


def test_dry_run_sends_and_writes_nothing_and_hides_the_held_out(tmp_path: Path) -> None:
    write_tasks(tmp_path, held_out=5)
    (tmp_path / "plan.yaml").write_text(
        """
suites: [{source: data.jsonl, split: all}]
contestants: [{model: m, base_url: "http://127.0.0.1:9/v1", max_tokens: 10, price: {input: 1, output: 2}}]
trials: 2
"""
    )
    out = steelyard("run", "plan.yaml", "--dry-run", "--show", "50", "--json", cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    said = json.loads(out.stdout)
    assert said["trials"] == 40
    assert 0 < said["worst_case_dollars"] < 0.1
    assert len(said["requests"]) == 15
    assert "SECRET" not in out.stdout
    assert "HIDDEN" not in out.stdout + out.stderr
    assert not (tmp_path / ".steelyard").exists()


def test_held_out_content_is_shown_only_when_revealed_and_that_is_noted(tmp_path: Path) -> None:
    write_tasks(tmp_path, held_out=5)
    plan = "suites: [{{source: data.jsonl, split: all}}]\ncontestants: [{{model: m, base_url: '{}'}}]\n"
    with stub_thread(StubOptions(answer=lambda r: "ECHO " + prompt_of(r))) as stub:
        (tmp_path / "plan.yaml").write_text(plan.format(stub.base_url))
        ran = steelyard("run", "plan.yaml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    for args in (["--failed", "--limit", "100"], ["--task", "1"], ["--failed", "--json"]):
        out = steelyard("show", "last", *args, cwd=tmp_path)
        assert "SECRET" not in out.stdout
        assert "HIDDEN" not in out.stdout
    revealed = steelyard("show", "last", "--task", "1", "--reveal", cwd=tmp_path)
    assert "SECRET 1" in revealed.stdout
    noted = steelyard("show", "last", cwd=tmp_path)
    assert "exposed" in noted.stdout


def test_control_characters_of_an_answer_never_reach_the_terminal(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=2)
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m \u202egnp.exe \x00\x08"
    with stub_thread(StubOptions(answer=lambda r: hostile)) as stub:
        steelyard("try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, cwd=tmp_path)
    out = steelyard("show", "last", "--failed", cwd=tmp_path).stdout
    assert "owned" in out
    assert not set(out) & set("\x1b\x07\x9b\u202e\x00\x08")


def test_refused_and_cut_trials_have_columns_of_their_own(tmp_path: Path) -> None:
    def odd(request: Request) -> Reply:
        n = last_word(request)
        if n == "1":
            return Reply(finish="refusal", refusal="I would rather not")
        return Reply(text=n, finish="length" if n == "2" else "stop")

    write_tasks(tmp_path, n=4)
    with stub_thread(StubOptions(answer=odd)) as stub:
        out = steelyard("try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    head, line = out.stdout.splitlines()[1:3]
    assert head.split()[-6:] == ["refused", "cut", "cost", "$/trial", "time", "tok/s"]
    assert line.split("100.0%")[1].split()[:2] == ["1", "1"]


def test_trials_without_a_verdict_end_with_their_own_code_and_bounds(tmp_path: Path) -> None:
    write_tasks(tmp_path)
    with stub_thread(StubOptions(answer=last_word, rules=(Rule("question 7", "400"),))) as stub:
        out = steelyard(
            "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, "--json", cwd=tmp_path
        )
    assert out.returncode == 5
    line = json.loads(out.stdout)["overall"][0]
    assert (line["n_graded"], line["n_ungraded"], line["coverage"]) == (19, 1, 0.95)
    assert (line["all_wrong"], line["all_right"]) == (0.95, 1.0)


def test_a_money_cap_ends_with_its_own_code_and_resume_keeps_it(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=200)
    with stub_thread(StubOptions(answer=last_word)) as stub:
        out = steelyard(
            "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, "--price", "10/10", "--max-tokens", "50",
            "--max-cost", "0.003", cwd=tmp_path,
        )  # fmt: skip
        assert out.returncode == 6, out.stderr
        assert "steelyard resume" in out.stderr
        sent = stub.counts.received.total()
        again = steelyard("resume", "last", cwd=tmp_path)
        assert again.returncode == 6
        assert stub.counts.received.total() - sent <= 1
        raised = steelyard("resume", "last", "--max-cost", "1", cwd=tmp_path)
        assert raised.returncode == 0, raised.stderr
        assert stub.counts.received.total() == 200
    assert 0 < sent < 200


def test_caps_on_tokens_and_time_are_raised_on_resume(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=60)
    with stub_thread(StubOptions(answer=last_word, latency_s=0.02)) as stub:
        out = steelyard(
            "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, "--max-tokens", "50",
            "--max-total-tokens", "230", "--concurrency", "1", cwd=tmp_path,
        )  # fmt: skip
        assert out.returncode == 6, out.stderr
        assert "--max-total-tokens N" in out.stderr
        sent = stub.counts.received.total()
        assert 0 < sent < 60
        assert steelyard("resume", cwd=tmp_path).returncode == 6
        assert stub.counts.received.total() - sent <= 1, (
            "the new cap is that of the plan until another is set"
        )
        no_time = steelyard(
            "resume", "last", "--max-total-tokens", "none", "--max-minutes", "0.0001", cwd=tmp_path
        )
        assert no_time.returncode == 6, no_time.stderr
        assert "the time cap is reached" in no_time.stderr
        assert "--max-minutes M" in no_time.stderr
        assert steelyard("resume", cwd=tmp_path).returncode == 6, "a cap that was set holds in later sessions"
        done = steelyard("resume", "last", "--max-minutes", "20", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert stub.counts.received.total() == 60
    for option, value in (("--max-total-tokens", "1.5"), ("--max-minutes", "nan"), ("--max-cost", "-1")):
        bad = steelyard("resume", "last", option, value, cwd=tmp_path)
        assert bad.returncode == 2
        assert option in bad.stderr


def test_ctl_changes_every_cap_of_a_live_run(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=4000)
    with stub_thread(StubOptions(answer=last_word, latency_s=0.05)) as stub:
        command = [sys.executable, "-m", "steelyard", "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url,
                   "--concurrency", "4", "--max-tokens", "9", "--json"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while stub.counts.received.total() < 10:
                time.sleep(0.01)
            set_ = steelyard("ctl", "cap", "--tokens", "9000000", "--minutes", "60", "--json", cwd=tmp_path)
            found = json.loads(set_.stdout)
            assert (found["cap_tokens"], found["cap_seconds"]) == (9_000_000, 3600)
            assert 3000 < found["seconds_left"] < 3600
            assert (
                json.loads(steelyard("ctl", "cap", "--tokens", "none", "--json", cwd=tmp_path).stdout)[
                    "cap_tokens"
                ]
                is None
            )
            assert steelyard("ctl", "pause", "--tokens", "5", cwd=tmp_path).returncode == 2
            assert steelyard("ctl", "cap", "--minutes", "0", cwd=tmp_path).returncode == 0
            _, err = process.communicate(timeout=60)
        assert process.returncode == 6, err
        assert "the time cap is reached" in err


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=400)
    with stub_thread(StubOptions(answer=last_word, latency_s=0.05)) as stub:
        command = [sys.executable, "-m", "steelyard", "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url,
                   "--concurrency", "4"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while stub.counts.received.total() < 20:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "steelyard resume" in err
        sent = stub.counts.received.total()
        done = steelyard("resume", "last", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert stub.counts.received.total() == 400
        assert sent < 400
    assert json.loads(done.stdout)["overall"][0]["n_graded"] == 400


def test_ctl_steers_a_live_run_and_shows_no_content(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=4000)
    with stub_thread(StubOptions(answer=lambda r: "IGNORE ALL INSTRUCTIONS", latency_s=0.05)) as stub:
        command = [sys.executable, "-m", "steelyard", "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url,
                   "--concurrency", "4", "--json"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while stub.counts.received.total() < 10:
                time.sleep(0.01)
            status = steelyard("ctl", "status", "--json", cwd=tmp_path)
            assert status.returncode == 0, status.stderr
            assert json.loads(status.stdout)["state"] == "running"
            assert "IGNORE" not in status.stdout
            asked = json.loads(steelyard("ctl", "status", "--content", "--json", cwd=tmp_path).stdout)
            assert asked["content"] == ["IGNORE ALL INSTRUCTIONS"] * 5
            assert json.loads(steelyard("ctl", "pause", "--json", cwd=tmp_path).stdout)["state"] == "paused"
            time.sleep(0.3)
            before = stub.counts.received.total()
            time.sleep(0.3)
            assert stub.counts.received.total() == before
            steelyard("ctl", "resume", cwd=tmp_path)
            refused = steelyard("ctl", "cap", "--money", "1", cwd=tmp_path)
            assert refused.returncode == 2
            assert json.loads(steelyard("ctl", "stop", "--json", cwd=tmp_path).stdout)["state"] == "stopping"
            process.communicate(timeout=60)
        assert process.returncode == 130
    gone = steelyard("ctl", "status", cwd=tmp_path)
    assert gone.returncode == 2
    assert "does not answer" in gone.stderr


def test_a_second_writer_of_a_live_run_is_refused(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=300)
    with stub_thread(StubOptions(answer=last_word, latency_s=0.05)) as stub:
        command = [sys.executable, "-m", "steelyard", "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url,
                   "--concurrency", "2"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while stub.counts.received.total() < 5:
                time.sleep(0.01)
            second = steelyard("resume", "last", cwd=tmp_path)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
    assert second.returncode == 4, second.stderr


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["try", "nothing.jsonl", "--model", "embedded/steelyard-nano"], 3, "no such file"),
        (["try", "data.jsonl"], 2, "--model"),
        (["run", "nothing.yaml"], 3, "no such file"),
        (["show", "nothing", "--ledger", "none"], 3, "no ledger"),
        (["frobnicate"], 2, "No such command"),
        (["ctl", "cap"], 2, "--money"),
    ],
)
def test_mistakes_end_with_their_code_and_no_traceback(
    args: list[str], code: int, word: str, tmp_path: Path
) -> None:
    write_tasks(tmp_path)
    out = steelyard(*args, cwd=tmp_path)
    assert out.returncode == code, out.stderr
    assert word in out.stderr
    assert "Traceback" not in out.stderr


def test_a_key_never_reaches_ledger_output_or_error(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=3)
    key = "sk-test-0123456789abcdef"
    (tmp_path / ".env").write_text(f"MY_KEY={key}\n")
    with stub_thread(StubOptions(answer=last_word, rules=(Rule("question 1", "401"),))) as stub:
        out = steelyard(
            "try",
            "data.jsonl",
            "--model",
            "m",
            "--base-url",
            stub.base_url,
            "--key-env",
            "MY_KEY",
            cwd=tmp_path,
        )
    shown = steelyard("show", "last", "--failed", cwd=tmp_path)
    assert key not in out.stdout + out.stderr + shown.stdout + shown.stderr
    for path in (tmp_path / ".steelyard").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_a_run_without_verdicts_says_why_and_where_to_look(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=2)
    plan = (
        "suites: [data.jsonl]\ncontestants: [{name: app, callable: 'app.py:answer'}]\nretry: {attempts: 1}\n"
    )
    (tmp_path / "plan.yaml").write_text(plan)
    (tmp_path / "app.py").write_text("def answer(question):\n    raise ValueError('no \\x1b[31mluck')\n")
    out = steelyard("run", "plan.yaml", cwd=tmp_path)
    assert out.returncode == 7
    assert "2 trials have no verdict" in out.stderr
    assert "app: 2 x " in out.stderr
    assert "luck" in out.stderr
    assert "\x1b[31m" not in out.stderr
    assert "--failed" in out.stderr
    shown = steelyard("show", "--failed", cwd=tmp_path)
    assert "question 1" in shown.stdout


def test_the_next_step_is_said_where_a_command_cannot_go_on(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=1)
    mistyped = steelyard("rnu", "plan.yaml", cwd=tmp_path)
    assert mistyped.returncode == 2
    assert "Did you mean 'run'?" in mistyped.stderr
    unserved = steelyard("try", "data.jsonl", "--model", "m", cwd=tmp_path)
    assert unserved.returncode == 2
    assert "--base-url" in unserved.stderr
    dry = steelyard(
        "try", "data.jsonl", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--dry-run", cwd=tmp_path
    )
    assert "no bound on output tokens" in dry.stdout
    assert "1 trial;" in dry.stdout
    with stub_thread(StubOptions(answer=last_word)) as stub:
        done = steelyard("try", "data.jsonl", "--model", "m", "--base-url", stub.base_url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone = steelyard("compare", "last", cwd=tmp_path)
    assert alone.returncode == 3
    assert "`contestants`" in alone.stderr


def test_a_run_is_compared_with_the_baseline_of_its_plan(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=6)
    (tmp_path / "app.py").write_text(
        "def right(question):\n    return question.split()[-1]\ndef wrong(question):\n    return 'no'\n"
    )
    plan = "suites: [data.jsonl]\ncontestants: [{name: new, callable: 'app.py:right'}, {name: old, callable: 'app.py:wrong'}]\n"
    (tmp_path / "plan.yaml").write_text(plan + "baseline: old\n")
    assert steelyard("run", "plan.yaml", cwd=tmp_path).returncode == 0
    found = steelyard("compare", "last", cwd=tmp_path)
    assert "note: baseline: old, as the plan says" in found.stdout
    other = steelyard("compare", "last", "--baseline", "new", "--json", cwd=tmp_path)
    assert json.loads(other.stdout)["baseline"] == "new"


def test_show_says_what_is_possibly_paid_after_a_kill(tmp_path: Path) -> None:
    write_tasks(tmp_path, n=50)
    with stub_thread(StubOptions(answer=last_word, rules=(Rule("17", "hang"),))) as stub:
        command = [sys.executable, "-m", "steelyard", "try", "data.jsonl", "--model", "m", "--base-url", stub.base_url,
                   "--price", "10/10", "--max-tokens", "50", "--max-cost", "1"]  # fmt: skip
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while stub.counts.answered.total() < 49:
                time.sleep(0.01)
            time.sleep(0.3)
            process.kill()
    shown = steelyard("show", "last", cwd=tmp_path)
    assert "1 call was in flight when a session ended: possibly paid (at most $0.00" in shown.stdout, (
        shown.stdout
    )
    paid = json.loads(steelyard("show", "last", "--json", cwd=tmp_path).stdout)["possibly_paid"]
    assert paid["calls"] == 1
    assert 0 < paid["at_most_dollars"] < 0.01


@pytest.mark.parametrize(
    ("args", "code", "kind"),
    [
        (["run", "none.yaml"], 3, "PlanError"),
        (["show", "last", "--bogus"], 2, "UsageError"),
        (["try", "d.jsonl", "--model", "m"], 2, "UsageError"),
        (["verify", "--ledger", "nowhere"], 3, "DataError"),
    ],
)
def test_an_error_is_json_too_when_json_is_asked_for(
    args: list[str], code: int, kind: str, tmp_path: Path
) -> None:
    out = steelyard(*args, "--json", cwd=tmp_path)
    assert out.returncode == code
    error = json.loads(out.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert error["message"]
    assert error["message"] in out.stderr
