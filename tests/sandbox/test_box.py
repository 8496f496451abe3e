"""A living sandbox from Python: shell, files, states, overlay, egress, reaping, the filter."""

from __future__ import annotations

import hashlib
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox.people import ROOT, environment

from steelyard.errors import DataError, SandboxError, UserError
from steelyard.sandbox import Limits, Mount, Profile, Rung, Shell, choose
from steelyard.sandbox.base import Command, Ended
from steelyard.sandbox.box import NamespaceBox, probe, said
from steelyard.sandbox.egress import Gate, Rule
from steelyard.sandbox.inner import cgroup, seccomp
from steelyard.sandbox.inner.probe import ACTS
from steelyard.sandbox.profile import MIB
from steelyard.sandbox.selfcheck import self_check
from steelyard.sandbox.shell import Files, History


@pytest.fixture
def box() -> Iterator[NamespaceBox]:
    with NamespaceBox(Profile(limits=Limits(memory=128 * MIB, memory_guarantee=0, wall_s=20))) as made:
        yield made


def test_a_shell_keeps_directory_variables_functions_and_jobs(box: NamespaceBox) -> None:
    with Shell(box) as shell:
        assert shell.run("cd /tmp; X=5; f() { echo f$X; }").status == 0
        assert shell.run("pwd; f; false").output == "/tmp\nf5\n"
        assert shell.run("false").status == 1
        shell.run("(sleep 0.2; echo late > /tmp/late) &")
        time.sleep(0.5)
        assert shell.run("cat /tmp/late").output == "late\n"
        assert shell.run("cat <<X\na 'b' \"c\"\nX").output == "a 'b' \"c\"\n"
        assert shell.run("echo 'open").status != 0
        assert shell.run("echo still").output == "still\n"


def test_a_hanging_command_is_stopped_and_the_shell_stays(box: NamespaceBox) -> None:
    with Shell(box) as shell:
        shell.run("X=kept; sleep 50 &")
        time.sleep(0.05)
        reply = shell.run("sleep 60", timeout_s=0.5)
        assert (reply.status, reply.timed_out, reply.restarted) == (None, True, False)
        assert shell.run("echo $X; jobs -r | wc -l").output == "kept\n1\n"


def test_a_shell_that_hangs_or_exits_is_replaced_and_says_so(box: NamespaceBox) -> None:
    with Shell(box) as shell:
        assert shell.run("while :; do :; done", timeout_s=0.5).restarted
        gone = shell.run("exit 7")
        assert (gone.status, gone.restarted) == (7, True)
        assert shell.run("echo new").output == "new\n"
        assert shell.run("kill -9 $$").restarted


def test_long_output_is_cut_in_the_middle_and_kept_inside(box: NamespaceBox) -> None:
    with Shell(box, view=1000) as shell:
        reply = shell.run("seq 1 5000")
        assert reply.output.startswith("1\n2\n")
        assert reply.output.endswith("5000\n")
        assert reply.elided == 23_893 - 1000
        assert shell.run(f"wc -l < {reply.path}").output == "5000\n"


def test_a_forged_end_of_command_is_only_output(box: NamespaceBox) -> None:
    with Shell(box) as shell:
        assert shell.run("echo 0 >&3; echo mine; exit_code=9; (exit 9)").status == 9


def test_files_are_read_and_written_by_handle(box: NamespaceBox) -> None:
    files = Files(box)
    files.write("a/b.txt", b"one")
    assert box.run(["cat", "a/b.txt"]).stdout == b"one"
    box.run(["sh", "-c", "chmod 750 a/b.txt; ln -s /etc/passwd link; mkfifo pipe"])
    files.write("/workspace/a/b.txt", b"two")
    assert box.run(["stat", "-c", "%a", "a/b.txt"]).stdout == b"750\n"
    assert ("a/b.txt", "file") in files.listing()
    for bad in ("link", "pipe", "nowhere"):
        with pytest.raises(OSError, match=r"."):
            files.read(bad)
    for bad in ("/etc/passwd", "../x", "/workspace/../etc/passwd"):
        with pytest.raises(DataError):
            files.read(bad)


def test_states_are_taken_compared_and_restored(box: NamespaceBox, tmp_path: Path) -> None:
    history = History(box, tmp_path)
    box.run(
        [
            "sh",
            "-c",
            "mkdir d; echo 1 > d/f; printf '\\0\\1' > b; ln -s d l; chmod 700 d/f; mkdir -m 000 locked",
        ]
    )
    first = history.take()
    box.run(["sh", "-c", "chmod 700 locked; rm -r d b l locked; mkdir b; echo 2 > d; ln -s x y"])
    second = history.take()
    assert {c.path for c in first.to(second)} == {"d", "d/f", "b", "l", "locked", "y"}
    assert history.restore(first) == []
    assert not history.take().to(first)
    assert box.run(["sh", "-c", "cat d/f; readlink l; stat -c %a d/f locked"]).stdout == b"1\nd\n700\n0\n"


@pytest.mark.parametrize("overlay", [False, True])
def test_a_base_is_copied_or_laid_under(tmp_path: Path, *, overlay: bool) -> None:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (base / "sub" / "f").write_text("old")
    (base / "gone").write_text("x")
    base.chmod(0o777)
    (base / "sub").chmod(0o777)
    (base / "sub" / "f").chmod(0o666)
    (base / "gone").chmod(0o666)
    limits = Limits(workspace=MIB, workspace_inodes=50)
    with NamespaceBox(Profile(base=base, overlay=overlay, limits=limits)) as made:
        result = made.run(
            ["sh", "-c", "cat sub/f; echo new > sub/f; echo z > added; head -c 3M /dev/zero > big"]
        )
        assert result.stdout == b"old"
        assert b"No space left" in result.stderr
        assert made.workspace.read("sub/f") == b"new\n"
        names = {e.path for e in made.workspace.walk()}
        assert {"sub", "sub/f", "added", "gone"} <= names
    assert (base / "sub" / "f").read_text() == "old"
    assert not (base / "added").exists()


def test_looking_for_hidden_files_is_counted() -> None:
    with NamespaceBox(Profile(decoys=("/tests", "/solution"))) as made:
        assert made.run(["true"]).usage.decoys == 0
        assert made.run(["ls", "/tests"]).usage.decoys >= 1
        assert made.run(["cat", "/solution/solve.sh"]).usage.decoys == 0
        assert made.run(["find", "/solution"]).usage.decoys >= 1


def test_a_base_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"1" * (2 * MIB))
    with pytest.raises(SandboxError, match="quota"):
        NamespaceBox(Profile(base=tmp_path, limits=Limits(workspace=MIB)))
    with pytest.raises(UserError, match="does not exist"):
        NamespaceBox(Profile(mounts=(Mount("/no/such/place"),)))
    with pytest.raises(UserError):
        Profile(workdir="/a/../b")


class _Echo(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None, bytes]] = []  # noqa: RUF012 - one server for the module's tests

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answer")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[int]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_address[1]
    made.shutdown()
    made.server_close()


_ASK = """
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", 3128, timeout=5)
c.request("POST", sys.argv[1], b"hello", {"Authorization": "mine"})
r = c.getresponse(); print(r.status, r.read().decode().strip())
"""


def test_only_named_hosts_are_reached_and_keys_stay_outside(server: int) -> None:
    rule = Rule(
        "api.test", 80, (("Authorization", "Bearer key"),), tls=False, connect_to=("127.0.0.1", server)
    )
    gate = Gate([rule])
    with NamespaceBox(Profile(listen=(gate.port,), env=gate.environment())) as made:
        gate.serve(made.listeners[gate.port])

        def ask(target: str) -> str:
            return made.run([sys.executable, "-c", _ASK, target]).stdout.decode()

        assert ask("http://api.test/v1/x") == "200 answer\n"
        assert ask("/api.test/v1/y") == "200 answer\n"
        assert ask("http://other.test/").startswith("403")
        assert ask(f"http://127.0.0.1:{server}/").startswith("403")
        assert b"key" not in made.run(["sh", "-c", "env; cat /proc/*/environ"]).stdout
    records = gate.stop()
    assert [(r["host"], r["allowed"]) for r in records] == [
        ("api.test", True),
        ("api.test", True),
        ("other.test", False),
        ("127.0.0.1", False),
    ]
    assert [s[:2] for s in _Echo.seen[-2:]] == [("/v1/x", "Bearer key"), ("/v1/y", "Bearer key")]


def test_a_tunnel_goes_to_named_hosts_only(server: int) -> None:
    gate = Gate([Rule("api.test", 443, connect_to=("127.0.0.1", server))])
    code = (
        "import socket,sys\ns=socket.create_connection(('127.0.0.1',3128),5)\n"
        "s.sendall(f'CONNECT {sys.argv[1]} HTTP/1.1\\r\\n\\r\\n'.encode())\nprint(s.recv(99).split()[1].decode())\n"
    )
    with NamespaceBox(Profile(listen=(gate.port,))) as made:
        gate.serve(made.listeners[gate.port])
        said = [
            made.run([sys.executable, "-c", code, t]).stdout for t in ("api.test:443", "api.test:22", "x:443")
        ]
    gate.stop()
    assert said == [b"200\n", b"403\n", b"403\n"]


@pytest.mark.parametrize("text", ["", "*.example.com", "host:0", "host:99999", "a/b", "host:x", "not a host"])
def test_hosts_are_named_in_full(text: str) -> None:
    with pytest.raises(UserError):
        Rule.parse(text)


def test_connections_beyond_a_bound_are_refused_and_told() -> None:
    gate = Gate([Rule.parse("api.test")])
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        gate.serve(listener)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(200)]
        clients[-1].settimeout(20)
        assert clients[-1].recv(1) == b""  # closed by us; the first ones wait for a request
        ours = [t for t in threading.enumerate() if t.name == "steelyard-egress"]
        assert len(ours) < 140
        records = gate.stop()
    for client in clients:
        client.close()
    assert sum("more than" in r.get("refused", "") for r in records) == 200 - 128


def test_a_command_per_sandbox_and_many_at_once() -> None:
    sandbox = choose()
    results: list[bytes] = []

    def one(i: int) -> None:
        results.append(sandbox.once(Profile(), Command(("echo", str(i)))).stdout)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results, key=int) == [f"{i}\n".encode() for i in range(12)]


def test_large_input_and_descriptors_are_passed_whole(box: NamespaceBox) -> None:
    data = os.urandom(3 * MIB)
    assert box.run(["sha256sum"], stdin=data).stdout[:64].decode() == hashlib.sha256(data).hexdigest()
    assert box.run(["true"], stdin=data).ok
    with pytest.raises(SandboxError, match="arguments"):
        box.run(["true", "x" * 300_000])


def test_rungs_are_met_exactly() -> None:
    assert choose("none").rung is Rung.NONE
    result = choose("none").once(Profile(), Command(("sh", "-c", "echo hi; exit 3")))
    assert (result.stdout, result.status, result.rung) == (b"hi\n", 3, Rung.NONE)
    slow = choose("none").once(Profile(limits=Limits(wall_s=0.3)), Command(("sleep", "9")))
    assert slow.ended is Ended.WALL
    if os.geteuid() != 0:
        with pytest.raises(SandboxError):
            choose("root")
    assert self_check().rung is not None


WITHOUT = {
    "capabilities": ["caps"],
    "trace": ["dumpable"],
    "namespaces": ["seccomp"],
    "mounts": ["seccomp", "caps"],
    "keyring": ["seccomp"],
    "loopback": ["net"],
    "abstract": ["net"],
}


@pytest.mark.parametrize("name", WITHOUT)
def test_the_self_check_sees_a_missing_measure(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        mark = f"steelyard-{os.urandom(6).hex()}"
        unix.bind("\0" + mark)
        unix.listen()
        facts = {"loopback": tcp.getsockname()[1], "abstract": mark}.get(name)
        assert probe(Profile(), {name: facts}).stdout == f'{{"{name}": ""}}'.encode()
        assert probe(Profile(), {name: facts}, without=WITHOUT[name]).stdout != f'{{"{name}": ""}}'.encode()
    assert name in ACTS


def test_a_killed_launcher_takes_its_sandboxes_along_and_the_next_one_reaps() -> None:
    code = (
        "import os, signal, sys, time\nfrom steelyard.sandbox.box import NamespaceBox\n"
        "from steelyard.sandbox.launch import launcher\nfrom steelyard.sandbox.base import Command\n"
        "from steelyard.sandbox.profile import Profile\nb = NamespaceBox(Profile())\n"
        "n = os.open('/dev/null', os.O_RDWR)\nb.spawn(Command(('sleep', sys.argv[1])), [n, n, n])\ntime.sleep(0.5)\n"
        "os.kill(launcher().process.pid, signal.SIGKILL)\ntime.sleep(0.5)\nos._exit(0)\n"
    )
    mark = f"66{time.time_ns() % 10**6}"
    subprocess.run([sys.executable, "-c", code, mark], env=environment(), cwd=ROOT, check=True, timeout=60)
    assert not subprocess.run(["pgrep", "-x", "-f", f"sleep {mark}"], capture_output=True).stdout
    fresh = "from steelyard.sandbox.launch import launcher; print(len(launcher().reaped), launcher().cgroup)"
    argv = [sys.executable, "-c", fresh]
    said = subprocess.run(
        argv, env=environment(), cwd=ROOT, check=True, capture_output=True, timeout=60
    ).stdout
    _, version = map(int, said.split())
    groups = cgroup.Groups.find()
    if version and groups:
        left = [p for root in groups.roots.values() for p in Path(root).glob(cgroup.PREFIX + "*")]
        alive = [p for p in left if Path(f"/proc/{p.name.split('-')[1]}").exists()]
        assert left == alive


def test_groups_of_version_2_are_found_and_limited(tmp_path: Path) -> None:
    # A twin of the kernel's files: this machine's own are of version 1.
    own = tmp_path / "user.slice" / "session"
    own.mkdir(parents=True)
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (own / "cgroup.subtree_control").write_text("\n")
    (tmp_path / "mounts").write_text(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    (tmp_path / "own").write_text("0::/user.slice/session\n")
    groups = cgroup.Groups.find(str(tmp_path / "mounts"), str(tmp_path / "own"))
    assert groups is not None
    assert (groups.version, set(groups.roots.values())) == (2, {str(own.parent)})
    group = groups.make("steelyard-1-1-1")
    made = own.parent / "steelyard-1-1-1"
    for name in ("memory.max", "memory.low", "memory.swap.max", "pids.max", "cpu.max"):
        (made / name).write_text("")
    group.limit({"memory": 1000, "memory_guarantee": 10, "processes": 5, "cpus": 0.5})
    assert (made / "memory.max").read_text() == "1000"
    assert (made / "pids.max").read_text() == "6"
    assert (made / "cpu.max").read_text() == "50000 100000"
    (made / "cpu.stat").write_text("usage_usec 2500000\n")
    (made / "memory.events").write_text("oom 1\noom_kill 2\n")
    assert group.cpu_s() == 2.5
    assert group.facts()["oom_kills"] == 2


def test_the_filter_answers_as_it_says() -> None:
    allow, kill = 0x7FFF0000, 0x80000000

    def answer(number: int, *args: int, arch: int = 0xC000003E, soft: bool = False) -> int:
        """The kernel's machine, in a few lines."""
        raw = seccomp.program(soft=soft, machine="x86_64")
        steps = [struct.unpack_from("=HBBI", raw, i) for i in range(0, len(raw), 8)]
        data = {0: number, 4: arch, **{16 + 8 * i: a for i, a in enumerate(args)}}
        at = a = 0
        while True:
            code, jt, jf, k = steps[at]
            at += 1
            if code == 0x20:
                a = data.get(k, 0)
            elif code == 0x06:
                return k
            else:
                hit = {0x15: a == k, 0x35: a >= k, 0x45: bool(a & k)}[code]
                at += jt if hit else jf

    def error(number: int) -> int:
        return 0x00050000 | number

    assert answer(0) == answer(1) == answer(59) == answer(257) == allow
    assert answer(101) == answer(321) == answer(165) == error(1)  # ptrace, bpf, mount
    assert answer(435) == answer(425) == answer(999) == error(38)  # clone3, io_uring, tomorrow's
    assert answer(0x40000001) == answer(1, arch=0x40000003) == kill  # x32, i386
    assert answer(56, 0x1200011) == allow
    assert answer(56, 0x10000011) == answer(56, 0x20000011) == error(1)
    assert [answer(41, family) for family in (1, 2, 10)] == [allow] * 3
    assert [answer(41, family) for family in (17, 38, 40)] == [error(97)] * 3
    assert (answer(41, 16, 3, 0), answer(41, 16, 3, 12)) == (allow, error(97))
    assert (answer(16, 0, 0x5401), answer(16, 0, 0x5412)) == (allow, error(1))
    assert (answer(319), answer(319, soft=True)) == (allow, error(1))
    # Larger socket buffers: heard, not met, and only where nothing counts them.
    assert [answer(54, 3, 1, option, soft=True) for option in (2, 7, 8)] == [allow, error(0), error(0)]
    assert [answer(54, 3, 6, 7, soft=True), answer(54, 3, 1, 7)] == [allow, allow]
    assert answer(55, 3, 1, 7, soft=True) == allow


def test_last_words_are_heard_although_something_was_left_unread() -> None:
    # The kernel tells such an end as a reset first: seen on a busy machine, where a launcher closed before it had
    # read what it was handed, and its result was taken for a fault.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.send(b"never read")
        theirs.send(b"last words")
        theirs.close()
        assert said(ours) == b"last words"
        assert said(ours) == b""
