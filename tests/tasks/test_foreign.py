"""Task directories of other tools: read where they need no image, left out with the reason otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard import tasks
from steelyard.errors import DataError
from steelyard.runner.checking import check_suite
from steelyard.sandbox.pack import unpack
from steelyard.sandbox.selfcheck import self_check
from steelyard.testing.agentic import write

TESTS = 'from pathlib import Path\n\n\ndef test_hello():\n    assert Path("/app/hello.txt").read_text().strip() == "Hello"\n'
DOCKERFILE = "FROM python:3.12-slim\n\nWORKDIR /app\nRUN mkdir -p /app/data && rm -rf /var/lib/apt/lists/*\n"


def harbor(place: Path, dockerfile: str = DOCKERFILE, toml: str = "", **files: str) -> Path:
    standard = {
        "instruction.md": "Write Hello into /app/hello.txt.",
        "task.toml": 'schema_version = "1.1"\n[metadata]\ndifficulty = "easy"\ncategory = "files"\n'
        f"[agent]\ntimeout_sec = 120.0\n[verifier]\ntimeout_sec = 60.0\n[environment]\nmemory_mb = 1024\n{toml}",
        "environment/Dockerfile": dockerfile,
        "environment/greeting.txt": "Hello\n",
        "solution/solve.sh": "#!/bin/bash\ncp /app/greeting.txt /app/hello.txt 2>/dev/null || echo Hello > /app/hello.txt\n",
        "tests/test.sh": "curl -LsSf https://astral.sh/uv/install.sh | sh\nuvx pytest /tests/test_state.py\n",
        "tests/test_state.py": TESTS,
    }
    return write(place, {**standard, **files})


def terminal_bench(place: Path) -> Path:
    compose = "services:\n  client:\n    build:\n      dockerfile: Dockerfile\n"
    return write(
        place,
        {
            "task.yaml": "instruction: |-\n  Write Hello into /app/hello.txt.\ndifficulty: easy\ncategory: files\n"
            "parser_name: pytest\nmax_agent_timeout_sec: 900.0\nmax_test_timeout_sec: 180.0\n",
            "Dockerfile": "FROM ghcr.io/laude-institute/t-bench/ubuntu-24-04:20250624\nWORKDIR /app\n",
            "docker-compose.yaml": compose,
            "run-tests.sh": "uv run pytest $TEST_DIR/test_outputs.py\n",
            "solution.sh": "#!/bin/bash\necho Hello > hello.txt\n",
            "tests/test_outputs.py": TESTS,
        },
    )


def test_a_harbor_directory_is_read_as_it_is(tmp_path: Path) -> None:
    harbor(tmp_path / "s/hello", DOCKERFILE + "COPY greeting.txt /app/\nCOPY . /app/all/\n")
    suite = tasks.load("s", base_dir=tmp_path)
    task = suite.task(0)
    work = task.agentic
    assert work is not None
    assert (work.workdir, work.limits.seconds, work.limits.memory_mib, work.judged.seconds) == (
        "/app",
        120,
        1024,
        60,
    )
    assert task.conditions == {"difficulty": "easy", "category": "files"}
    workspace = [p for p, i in unpack(suite.archive(work.workspace)).after.items() if i and i.kind == "file"]
    assert workspace == ["all/greeting.txt", "greeting.txt"]
    assert set(unpack(suite.archive(work.grader)).after) == {"test_state.py"}


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_their_own_solutions_pass_here(tmp_path: Path) -> None:
    harbor(tmp_path / "s/harbor", DOCKERFILE + "COPY greeting.txt .\n")
    terminal_bench(tmp_path / "s/terminal")
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert (report.unfit, report.undecided, len(report.tasks)) == (0, 0, 2), [
        t.problems for t in report.tasks
    ]
    assert (
        "terminal",
        "ghcr.io/laude-institute/t-bench/ubuntu-24-04:20250624 is this machine's own system here",
    ) in report.notes


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_a_script_without_a_network_judges_by_the_reward_that_it_writes(tmp_path: Path) -> None:
    script = "mkdir -p /logs/verifier\ngrep -q Hello /app/hello.txt && echo 1 > /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n"
    task = harbor(tmp_path / "s/t", **{"tests/test.sh": script})
    (task / "tests/test_state.py").unlink()
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert (report.tasks[0].gold, report.tasks[0].null) == ("1 of 1", "failed")
    assert report.notes[-1] == ("t", "judged by its own script, which is believed")


RUNS_IT = "bash /app/work.sh\necho 0 > /logs/verifier/reward.txt\nsleep 0.3\n"
FORGED = {
    "kept by a daemon": "(setsid sh -c 'while :; do for d in /tmp/*/ /logs/verifier/; do echo 1 > $d/reward.txt; done; done' >/dev/null 2>&1 &)\n",
    "written to the usual place": "mkdir -p /logs/verifier /tmp/logs/verifier; echo 1 > /logs/verifier/reward.txt; echo 1 > /tmp/logs/verifier/reward.txt\n",
    "printed and the printer killed": "for p in /proc/[0-9]*; do echo 1 > $p/fd/1; done; kill -9 $PPID\n",
    "a link": "for d in /tmp/v*/; do ln -sf /dev/null $d/reward.txt; echo 1 > /tmp/one; ln -sf /tmp/one $d/reward.json; done\n",
}


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
@pytest.mark.parametrize("how", FORGED)
def test_a_reward_that_the_contestant_forges_is_not_believed(tmp_path: Path, how: str) -> None:
    task = harbor(tmp_path / "s/t", **{"tests/test.sh": RUNS_IT})
    (task / "tests/test_state.py").unlink()
    (task / "solution/solve.sh").write_text(f"cat > /app/work.sh <<'END'\n{FORGED[how]}END\n")
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert (report.tasks[0].gold, report.tasks[0].null) == ("0 of 1", "failed")


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
@pytest.mark.parametrize("written", ["1", "1.0", '{"reward": 1}', '{"passed": 1.0}'])
def test_a_reward_is_read_in_each_of_its_forms(tmp_path: Path, written: str) -> None:
    name = "reward.json" if written.startswith("{") else "reward.txt"
    script = f"grep -q Hello /app/hello.txt && echo '{written}' > /logs/verifier/{name} || echo 0 > /logs/verifier/{name}\n"
    task = harbor(tmp_path / "s/t", **{"tests/test.sh": script})
    (task / "tests/test_state.py").unlink()
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert (report.tasks[0].gold, report.tasks[0].null) == ("1 of 1", "failed")


@pytest.mark.parametrize(
    ("dockerfile", "toml", "reason"),
    [
        ("FROM nvidia/cuda:12\n", "", "starts from nvidia/cuda:12"),
        (
            DOCKERFILE + "RUN apt-get update && apt-get install -y no-such-tool-xyz\n",
            "",
            "installs no-such-tool-xyz",
        ),
        (DOCKERFILE + "RUN pip install no-such-dist-xyz==1.0\n", "", "installs no-such-dist-xyz"),
        (DOCKERFILE + "RUN make world\n", "", "runs `make world`"),
        (DOCKERFILE + "RUN echo 'a && b; c' > /etc/x\n", "", "runs `echo a && b; c > /etc/x`"),
        (DOCKERFILE + "RUN echo $(date) > /app/x\n", "", "runs `echo $(date)"),
        (DOCKERFILE + "RUN echo hi > /app/$NAME\n", "", "runs `echo hi > /app/$NAME`"),
        (DOCKERFILE + "RUN printf '%s' x > /app/x\n", "", "runs `printf %s x > /app/x`"),
        (DOCKERFILE + "RUN echo hi > /app/../etc/x\n", "", "runs `echo hi > /app/../etc/x`"),
        (DOCKERFILE + "RUN cat a | sort > /app/x\n", "", "runs `cat a | sort"),
        (DOCKERFILE + "RUN python3 gen.py\n", "", "runs `python3 gen.py`"),
        (DOCKERFILE + "RUN pip install -r requirements.txt\n", "", "what requirements.txt names"),
        (
            DOCKERFILE + "RUN pip install -i https://x.example/whl no-such-dist-xyz\n",
            "",
            "installs no-such-dist-xyz,",
        ),
        (DOCKERFILE + "RUN pip install ./local\n", "", "runs `pip install ./local`"),
        ("FROM python:3.11-slim as build\nRUN make\nFROM python:3.11-slim\n", "", "several stages"),
        ("FROM --platform=linux/amd64 nvidia/cuda:12\n", "", "starts from nvidia/cuda:12"),
        (DOCKERFILE + "COPY greeting.txt /etc/\n", "", "copies to /etc"),
        (DOCKERFILE + "COPY --from=builder /x /app/x\n", "", "copies what is not a file"),
        (DOCKERFILE + "COPY nothing.txt /app/\n", "", "copies nothing.txt, which is not there"),
        (DOCKERFILE + "RUN cat <<EOF > x\nEOF\n", "", "here-document"),
        (DOCKERFILE, "gpus = 1\n", "needs a GPU"),
        (DOCKERFILE, "[[steps]]\nname = 'a'\n", "several steps"),
    ],
)
def test_what_needs_an_image_is_left_out_with_its_reason(
    tmp_path: Path, dockerfile: str, toml: str, reason: str
) -> None:
    harbor(tmp_path / "s/good")
    harbor(tmp_path / "s/odd", dockerfile, toml)
    suite = tasks.load("s", base_dir=tmp_path)
    assert len(suite) == 1
    assert suite.work is not None
    assert [name for name, _ in suite.work.skipped] == ["odd"]
    assert reason in suite.work.skipped[0][1], suite.work.skipped


def test_a_task_that_is_broken_does_not_keep_the_others_out(tmp_path: Path) -> None:
    for name in ("good", "mute", "odd"):
        harbor(tmp_path / "s" / name)
    (tmp_path / "s/mute/instruction.md").unlink()
    (tmp_path / "s/odd/task.toml").write_text("= nope")
    suite = tasks.load("s", base_dir=tmp_path)
    assert len(suite) == 1
    assert suite.work is not None
    left_out = dict(suite.work.skipped)
    assert "an instruction cannot be read" in left_out["mute"]
    assert "a task.toml of Harbor cannot be read" in left_out["odd"]


def test_nothing_left_says_what_was_left_out(tmp_path: Path) -> None:
    harbor(tmp_path / "s/odd", "FROM scratch\n")
    with pytest.raises(DataError, match="1 that were left out"):
        tasks.load("s", base_dir=tmp_path)


def test_copying_everything_shows_no_hidden_file(tmp_path: Path) -> None:
    task = terminal_bench(tmp_path / "s/t")
    write(task, {"Dockerfile": "FROM ubuntu:24.04\nWORKDIR /app\nCOPY . /app\n"})
    suite = tasks.load("s", base_dir=tmp_path)
    work = suite.task(0).agentic
    assert work is not None
    names = unpack(suite.archive(work.workspace)).after
    assert not [n for n in names if "test" in n or "solution" in n], list(names)


def test_what_a_dockerfile_does_plainly_is_done_without_running_it(tmp_path: Path) -> None:
    dockerfile = (
        "FROM --platform=linux/amd64 public.ecr.aws/docker/library/python:3.12-slim@sha256:"
        + "0" * 64
        + " AS base\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends tmux curl python3 \\\n"
        "    && pip install --no-cache-dir pytest==8.4.1 pytest-json-ctrf==0.3.5 && rm -rf /var/lib/apt/lists/*\n"
        "WORKDIR /app\nRUN mkdir -p /app/out data/raw /logs/agent\n"
        "RUN printf 'id,n\\n1,50%%\\n' > /app/data/rows.csv && echo \"two && three; four\" >> /app/data/rows.csv\n"
        "RUN touch empty.txt\nCOPY greeting.txt run-it /app/\nRUN chmod +x /app/run-it\nENV A=b\nUSER nobody\n"
    )
    harbor(tmp_path / "s/t", dockerfile, "allow_internet = false\n", **{"environment/run-it": "#!/bin/sh\n"})
    suite = tasks.load("s", base_dir=tmp_path)
    work = suite.task(0).agentic
    assert work is not None
    archive = unpack(suite.archive(work.workspace))
    kinds = {p: i.kind for p, i in archive.after.items() if i}
    assert kinds == {"data": "dir", "data/raw": "dir", "data/rows.csv": "file", "empty.txt": "file",
                     "greeting.txt": "file", "out": "dir", "run-it": "file"}  # fmt: skip
    assert archive.read("data/rows.csv") == b"id,n\n1,50%\ntwo && three; four\n"
    program = archive.after["run-it"]
    assert program is not None
    assert program.mode == 0o755
    assert suite.work is not None
    told = [note for _, note in suite.work.notes]
    assert "not made: /logs/agent, outside the work directory" in told
    assert "python:3.12-slim" in told[0]
    assert not any("no network" in note for note in told)


def test_tests_that_need_a_module_that_is_not_here_are_left_out_unless_the_task_makes_it(
    tmp_path: Path,
) -> None:
    harbor(tmp_path / "s/good")
    harbor(tmp_path / "s/needs", **{"tests/test_state.py": "import no_such_module_xyz\n" + TESTS})
    made = {
        "tests/test_state.py": "import answer_xyz\n" + TESTS,
        "instruction.md": "Write /app/answer_xyz.py.",
    }
    harbor(tmp_path / "s/made", **made)
    suite = tasks.load("s", base_dir=tmp_path)
    assert suite.work is not None
    assert sorted(suite.task(i).id for i in range(len(suite))) == ["good", "made"]
    assert tuple(suite.work.skipped) == (
        ("needs", "its tests import no_such_module_xyz, which this machine does not have"),
    )


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_hidden_files_are_found_where_the_tests_name_them(tmp_path: Path) -> None:
    tests = (
        'from pathlib import Path\n\n\ndef test_hello():\n    wanted = open("/tests/data/wanted.txt").read()\n'
        '    assert Path("/app/hello.txt").read_text() == wanted\n\n\ndef test_folder():\n    assert (Path("/tests") / "data").is_dir()\n'
    )
    harbor(tmp_path / "s/t", **{"tests/test_state.py": tests, "tests/data/wanted.txt": "Hello\n"})
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert (report.tasks[0].gold, report.tasks[0].null) == ("1 of 1", "failed"), report.tasks[0].problems


def test_hours_of_an_expert_are_minutes(tmp_path: Path) -> None:
    task = harbor(tmp_path / "s/t")
    toml = (
        (task / "task.toml")
        .read_text()
        .replace("[metadata]\n", "[metadata]\nexpert_time_estimate_hours = 1.5\n")
    )
    (task / "task.toml").write_text(toml)
    assert tasks.load("s", base_dir=tmp_path).task(0).human_minutes == 90
