"""`steelyard sandbox run`, `diff`, `collect`, `doctor --sandbox`: as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox.people import UID, environment, interpreter, steelyard

WHO = ["root", "user"]


@pytest.fixture(params=WHO)
def who(request: pytest.FixtureRequest) -> str:
    if not interpreter(request.param):
        pytest.skip(f"no interpreter that {request.param} may run")
    return str(request.param)


@pytest.fixture
def home(who: str) -> Iterator[Path]:
    """A directory that `who` owns and can walk to; pytest's own are closed to other users."""
    place = Path(tempfile.mkdtemp(prefix="steelyard-test-"))
    if who == "user" and os.geteuid() == 0:
        os.chown(place, UID, UID)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def place(home: Path, who: str) -> Path:
    """A workspace directory that `who` owns."""
    work = home / "work"
    work.mkdir()
    (work / "a.txt").write_text("one\n")
    (work / "b.bin").write_bytes(b"\0\1\2")
    (work / ".git").mkdir()
    (work / ".git" / "config").write_text("[core]\n")
    if who == "user" and os.geteuid() == 0:
        for path in (work, *work.rglob("*")):
            os.chown(path, UID, UID)
    return work


def run(who: str, place: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    return steelyard(who, "sandbox", "run", *args, STEELYARD_STATE=str(place.parent / "state"))


def document(done: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    return dict(json.loads(done.stdout))


def test_the_self_check_holds_everywhere(who: str) -> None:
    done = steelyard(who, "doctor", "--sandbox", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["rung"] in (("root", "user") if who == "root" else ("user",))
    assert len(report["checks"]) >= 19
    assert all(c["held"] for c in report["checks"])


def test_status_output_and_changes_come_back(who: str, place: Path) -> None:
    script = (
        "cat a.txt; echo err >&2; echo two >> a.txt; printf '\\0\\7' > b.bin; mkdir -p d/e; echo x > d/e/f; "
        "ln -s a.txt good; ln -s /etc/passwd evil; ln -s ../../.. up; mkfifo pipe; chmod 755 a.txt; "
        'echo "[x]" >> .git/config; printf x > "$(printf "new\\nline")"; exit 7'
    )
    done = run(who, place, "--workspace", str(place), "--json", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    result = document(done)
    assert (result["stdout"], result["stderr"], result["status"]) == ("one\n", "err\n", 7)
    assert (place / "a.txt").read_text() == "one\ntwo\n"
    assert (place / "a.txt").stat().st_mode & 0o777 == 0o755
    assert (place / "b.bin").read_bytes() == b"\0\7"
    assert (place / "d" / "e" / "f").read_text() == "x\n"
    assert str((place / "good").readlink()) == "a.txt"
    assert (place / "new\nline").read_text() == "x"
    assert not (place / "evil").is_symlink()
    assert not (place / "up").is_symlink()
    assert not (place / "pipe").exists()
    assert (place / ".git" / "config").read_text() == "[core]\n"
    changes = result["changes"]
    assert isinstance(changes, dict)
    assert {c["path"] for c in changes["refused"]} == {"evil", "up", "pipe", ".git/config"}


def test_diff_is_a_patch_that_git_applies(who: str, place: Path, home: Path) -> None:
    before = home / "before"
    subprocess.run(["cp", "-a", str(place), str(before)], check=True)
    script = (
        "printf 'no newline' > a.txt; printf '\\0\\7' > b.bin; printf 'caf\\303\\251' > 'sp ace'; ln -s a.txt l; "
        "printf x > \"$(printf 'new\\nline')\"; printf 'a\\r\\nb\\r\\n' > dos; : > empty; chmod +x empty"
    )
    run(who, place, "--workspace", str(place), "--", "sh", "-c", script)
    done = steelyard(who, "sandbox", "diff", str(place), STEELYARD_STATE=str(home / "state"))
    assert done.returncode == 0, done.stderr
    (home / "p.diff").write_bytes(done.stdout)
    for path in before.rglob(".git"):
        subprocess.run(["rm", "-r", str(path)], check=True)
    applied = subprocess.run(
        ["git", "apply", "--unsafe-paths", f"--directory={before}", str(home / "p.diff")],
        cwd="/",
        capture_output=True,
    )
    assert applied.returncode == 0, (applied.stderr, done.stdout)
    same = subprocess.run(["diff", "-r", "--no-dereference", "-x", ".git", str(before), str(place)])
    assert same.returncode == 0


@pytest.mark.parametrize(
    ("args", "script", "code", "ended"),
    [
        (["--wall", "1"], "sleep 30", 124, "wall_time"),
        (["--cpu-time", "0.5"], "while :; do :; done", 123, "cpu_time"),
        (["--output", "64K"], "yes", 121, "output"),
        (["--memory", "64M"], "exec python3 -c 'x=b\"1\"*(10**8); y=x+x'", 122, "out_of_memory"),
        ([], "kill -9 $$", 137, "exited"),
        ([], "exit 124", 124, "exited"),
    ],
)
def test_limits_have_codes_of_their_own(
    who: str, place: Path, args: list[str], script: str, code: int, ended: str
) -> None:
    done = run(who, place, *args, "--json", "--", "sh", "-c", script)
    assert (done.returncode, document(done)["ended"]) == (code, ended), done.stderr


def test_a_program_that_is_not_there_is_127(who: str, place: Path) -> None:
    assert run(who, place, "--", "no-such-program").returncode == 127
    assert run(who, place, "--", "/etc/hosts").returncode == 126


def test_what_was_started_dies_with_the_command(who: str, place: Path) -> None:
    mark = f"8{time.time_ns() % 10**6}"
    done = run(who, place, "--", "sh", "-c", f"setsid sleep {mark} & (sleep {mark} &); echo up")
    assert done.stdout == b"up\n"
    found = subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True)
    assert not found.stdout


def test_a_killed_runner_leaves_nothing(who: str, place: Path) -> None:
    mark = f"9{time.time_ns() % 10**6}"
    argv = [*interpreter(who), "-m", "steelyard", "sandbox", "run", "--", "sleep", mark]
    process = subprocess.Popen(argv, env=environment(), cwd="/", stdout=subprocess.DEVNULL)
    for _ in range(200):
        if subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True).stdout:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the command did not start")
    process.kill()
    process.wait()
    for _ in range(100):
        if not subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True).stdout:
            return
        time.sleep(0.05)
    pytest.fail("the command outlived its runner")


def test_the_network_is_not_there(who: str, place: Path) -> None:
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 3)\nexcept OSError as e: print(e.errno)"
    done = run(who, place, "--json", "--", "python3", "-c", code)
    result = document(done)
    assert result["stdout"] == "101\n"
    usage = result["usage"]
    assert isinstance(usage, dict)
    assert usage["unreachable"] >= 1


def test_a_name_that_is_looked_up_is_on_record_and_known_to_nobody(who: str, place: Path) -> None:
    code = (
        "import socket\nfor name in ('hidden.example', 'hidden.example', 'other.example'):\n"
        "    try: print(socket.getaddrinfo(name, 443))\n    except OSError as e: print(e.errno)"
    )
    result = document(run(who, place, "--json", "--", "python3", "-c", code))
    assert result["stdout"] == "-2\n-2\n-2\n"  # no such name, at once
    usage = result["usage"]
    assert isinstance(usage, dict)
    assert usage["names"] == ["hidden.example", "other.example"]
    assert usage["unreachable"] == 3


def test_what_is_no_question_does_not_trouble_the_name_service(who: str, place: Path) -> None:
    code = (
        "import os, socket, struct\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for i in range(5000): s.sendto(os.urandom(i % 700), ('127.0.0.1', 53))\n"
        "for name in (b'\\x3f' * 400, b'\\xc0\\x0c', b'\\x05\\x1b[2Ja\\0' + b'\\0\\1\\0\\1'):\n"
        "    s.sendto(struct.pack('>6H', 1, 256, 1, 0, 0, 0) + name, ('127.0.0.1', 53))\n"
        "print(socket.gethostbyname('localhost'))"
    )
    result = document(run(who, place, "--json", "--", "python3", "-c", code))
    assert (result["ended"], result["stdout"]) == ("exited", "127.0.0.1\n")
    assert "\x1b" not in str(result["usage"])


def test_a_workspace_over_its_quota_is_refused_whole(who: str, place: Path) -> None:
    assert run(who, place, "--workspace", str(place), "--workspace-files", "2", "--", "true").returncode == 3
    assert run(who, place, "--workspace", str(place / "nowhere"), "--", "true").returncode == 3


def test_collect_takes_data_only(who: str, place: Path, home: Path) -> None:
    source, target = place, home / "out"
    (source / "evil").symlink_to("/etc/passwd")
    (source / "inner").symlink_to("a.txt")
    (source / "ring").symlink_to("ring")
    os.mkfifo(source / "pipe")
    with (source / "huge").open("wb") as f:
        f.truncate(1 << 40)
    (home / "outside").write_text("secret")
    os.link(home / "outside", source / "hard")
    os.link(source / "a.txt", source / "twin")
    (source / "set").write_text("x")
    (source / "set").chmod(0o4755)
    done = steelyard(who, "sandbox", "collect", str(source), str(target), "--json")
    assert done.returncode == 0, done.stderr
    names = {str(p.relative_to(target)) for p in target.rglob("*")}
    assert names == {"a.txt", "b.bin", "inner", "twin", "set"}
    assert (target / "set").stat().st_mode & 0o7777 == 0o755
    refused = {c["path"] for c in json.loads(done.stdout)["refused"]}
    assert refused == {"evil", "ring", "pipe", "huge", "hard", ".git", ".git/config"}


def test_holes_stay_holes_on_every_way(who: str, place: Path, home: Path) -> None:
    def laid(path: Path) -> tuple[bytes, bool]:
        """What is written between two holes of 50 MiB, and whether the file takes little room."""
        with path.open("rb") as f:
            size = f.seek(0, os.SEEK_END)
            f.seek(50 << 20)
            return f.read(3) if size == (100 << 20) + 3 else b"?", path.stat().st_blocks * 512 < 1 << 20

    with (place / "old").open("wb") as f:
        f.seek(50 << 20)
        f.write(b"mid")
        f.truncate((100 << 20) + 3)
    os.chown(place / "old", *(UID, UID) if who == "user" and os.geteuid() == 0 else (-1, -1))
    # Staged as holes too: with all its zeros it would not fit into this memory.
    line = "cp --sparse=always old new && cmp old new"
    done = run(who, place, "--memory", "64M", "--workspace", str(place), "--", "sh", "-c", line)
    assert done.returncode == 0, done.stderr
    assert (laid(place / "new"), laid(place / "old")) == ((b"mid", True), (b"mid", True))
    out = home / "out"
    assert steelyard(who, "sandbox", "collect", str(place), str(out)).returncode == 0
    assert laid(out / "new") == (b"mid", True)


def test_diff_names_what_it_cannot_compare_and_goes_on(who: str, place: Path) -> None:
    done = run(who, place, "--workspace", str(place), "--", "sh", "-c", "echo new > c.txt")
    assert done.returncode == 0, done.stderr
    os.mkfifo(place / "pipe")
    with (place / "huge").open("wb") as f:
        f.truncate(1 << 42)
    (place / Path(*["d"] * 70)).mkdir(parents=True)
    done = steelyard(
        who, "sandbox", "diff", "--stat", str(place), STEELYARD_STATE=str(place.parent / "state")
    )
    assert done.returncode == 0, done.stderr
    assert b"A c.txt\n" in done.stdout
    named = done.stderr.decode().splitlines()
    assert [line.split(": ")[1].rpartition("/")[2] for line in named] == ["d", "huge", "pipe"]


def test_a_destination_that_cannot_be_made_is_said(who: str, place: Path) -> None:
    done = steelyard(who, "sandbox", "collect", str(place), "/proc/nothing")
    assert done.returncode == 3
    assert b"fix: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_empty_name_is_no_command(who: str, place: Path) -> None:
    done = run(who, place, "--workspace", str(place), "--", "")
    assert done.returncode == 127, done.stderr


def test_a_kill_for_memory_is_told_even_when_only_a_child_was_killed(who: str, place: Path) -> None:
    child = "b = bytearray(300 << 20)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('went on')"
    done = run(
        who, place, "--workspace", str(place), "--memory", "100M", "--json", "--", "python3", "-c", script
    )
    assert done.returncode == 122, done.stderr
    result = document(done)
    assert result["ended"] == "out_of_memory"


def test_a_full_workspace_says_so_as_any_disk_does(who: str, place: Path) -> None:
    done = run(
        who,
        place,
        "--workspace",
        str(place),
        "--workspace-size",
        "8M",
        "--tmp-size",
        "4M",
        "--",
        "dd",
        "if=/dev/zero",
        "of=big",
        "bs=1M",
    )
    assert (done.returncode, b"No space left on device" in done.stderr) == (1, True), done.stderr


def test_the_soft_guarantee_follows_the_limit_and_may_not_pass_it(who: str, place: Path) -> None:
    few = run(who, place, "--memory", "64M", "--json", "--", "true")
    assert few.returncode == 0, few.stderr
    limits = document(few)["limits"]
    assert isinstance(limits, dict)
    assert limits["memory_guarantee"] == 64 << 20
    over = run(who, place, "--memory", "64M", "--memory-guarantee", "65M", "--", "true")
    assert (over.returncode, b"guaranteed memory" in over.stderr) == (3, True)


def test_what_does_not_fit_on_the_way_back_is_not_taken_for_removed(who: str, place: Path) -> None:
    (place / "z.txt").write_text("stays")
    args = ("--workspace-size", "8M", "--tmp-size", "4M", "--json")
    done = run(
        who,
        place,
        "--workspace",
        str(place),
        *args,
        "--",
        "sh",
        "-c",
        "truncate -s 5M aa; truncate -s 5M bb; rm b.bin",
    )
    assert done.returncode == 0, done.stderr
    changes = document(done)["changes"]
    assert isinstance(changes, dict)
    assert changes["removed"] == ["b.bin"]
    assert [r["path"] for r in changes["refused"]] == ["bb"]
    assert (place / "z.txt").read_text() == "stays"


def test_a_workspace_whose_path_leads_elsewhere_meanwhile_stays_the_one_named(
    who: str, place: Path, home: Path
) -> None:
    other = home / "other"
    other.mkdir()
    (other / "a.txt").write_text("not yours\n")
    (place / "sub").mkdir()
    (place / "sub" / "c.txt").write_text("c\n")
    if os.geteuid() == 0 and who == "user":
        for path in (other, other / "a.txt", place / "sub", place / "sub" / "c.txt"):
            os.chown(path, UID, UID)
    command = [
        *interpreter(who),
        "-m",
        "steelyard",
        "sandbox",
        "run",
        "--workspace",
        str(place),
        "--",
        "sh",
        "-c",
        "echo started; sleep 2; echo two >> a.txt; echo d > sub/d.txt",
    ]
    env = {**environment(), "STEELYARD_STATE": str(home / "state")}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
    ) as runner:
        deadline = time.monotonic() + 30
        while not any(home.glob("state/bases/*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1)  # staged by now
        place.rename(home / "moved")
        place.symlink_to(other)
        (home / "moved" / "sub").rename(home / "moved" / "sub2")
        (home / "moved" / "sub").symlink_to(other)
        _, err = runner.communicate(timeout=60)
    assert (runner.returncode, b"Traceback" in err) == (0, False), err
    assert {p.name: p.read_text() for p in other.iterdir()} == {"a.txt": "not yours\n"}
    assert (home / "moved" / "a.txt").read_text() == "one\ntwo\n"
    assert b"not brought back: sub/d.txt" in err


def test_diff_sees_more_files_than_a_default_workspace_holds(who: str, place: Path) -> None:
    (place / "z.txt").write_text("stays")
    make = "import os; os.mkdir('many'); [open(f'many/{i}', 'w').close() for i in range(20_100)]"
    args = ("--workspace-files", "30000")
    done = run(who, place, "--workspace", str(place), *args, "--", "python3", "-c", make)
    assert done.returncode == 0, done.stderr
    diff = steelyard(
        who, "sandbox", "diff", "--stat", str(place), STEELYARD_STATE=str(place.parent / "state")
    )
    rows = [line.split()[0] for line in diff.stdout.decode().splitlines()]
    assert (rows.count("A"), rows.count("D")) == (20_101, 0), diff.stderr


def test_the_base_is_still_there_after_many_other_runs(who: str, place: Path, home: Path) -> None:
    run(who, place, "--workspace", str(place), "--", "sh", "-c", "echo two >> a.txt")
    for i in range(25):
        other = home / f"w{i}"
        other.mkdir()
        if who == "user" and os.geteuid() == 0:
            os.chown(other, UID, UID)
        assert run(who, place, "--workspace", str(other), "--", "true").returncode == 0
    diff = steelyard(who, "sandbox", "diff", str(place), STEELYARD_STATE=str(place.parent / "state"))
    assert b"+two" in diff.stdout, diff.stderr


def test_nothing_inside_can_hide_from_a_kill_for_memory(place: Path) -> None:
    if not interpreter("root"):
        pytest.skip("only root sets the floor")
    script = "echo -1000 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj"
    done = run("root", place, "--workspace", str(place), "--", "sh", "-c", script)
    if document(run("root", place, "--json", "--", "true"))["rung"] != "root":
        pytest.skip("there is no control group here: the watchdog kills, not the kernel")
    assert done.stdout == b"500\n", done.stderr


def test_help_says_every_default_and_every_code() -> None:
    done = steelyard("self", "sandbox", "run", "--help")
    text = " ".join(done.stdout.decode().split())
    wanted = ("256", "512M", "256M", "20000", "default: 1]", "16M", "600", "no network")
    assert [w for w in wanted if w not in text] == []
    assert [c for c in ("121", "122", "123", "124", "125", "126", "127", "128+N") if c not in text] == []
