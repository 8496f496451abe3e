"""Run every act twice, in the sandbox and without the measure that stops it; print what went through, as JSON.

A program of its own, because the same acts are run as root and as an ordinary user. Acts are small and run under
the outer limits of this process.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from steelyard.sandbox.bare import BareBox
from steelyard.sandbox.base import Command, Result
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.profile import MIB, Limits, Mount, Profile

HEAD = "import os,sys,time,mmap,socket,signal,ctypes,json\nF=json.loads(sys.argv[1])\n"
SMALL: dict[str, Any] = {
    "processes": 24,
    "memory": 96,
    "wall_s": 5.0,
    "cpu_s": 1.5,
    "cpus": 1.0,
    "workspace": 4,
    "workspace_inodes": 100,
    "tmp": 4,
    "tmp_inodes": 100,
    "output": 1,
}
IN_MIB = {"memory", "workspace", "tmp", "output"}


class Scene:
    """What acts aim at, on the host."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="steelyard-scene-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.word, self.name = secrets.token_hex(12), secrets.token_hex(12)
        (self.place / "secret").write_text(self.word)
        os.environ["STEELYARD_SCENE"] = self.word
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind("\0" + self.word)
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(str(self.place / "sock"))
        (self.place / "sock").chmod(0o777)
        for s in (self.tcp, self.unix, self.path):
            s.listen(8)
            s.settimeout(0.3)
        self.key = secrets.randbelow(1 << 30) + 1
        self.shm = ctypes.CDLL(None).shmget(self.key, ctypes.c_size_t(4096), 0o1666)
        self.mark = f"77{secrets.randbelow(10**6)}"
        self.setid = self.place / "id"
        shutil.copy("/usr/bin/id", self.setid)
        self.setid.chmod(0o4755)
        self.shown = subprocess.Popen(
            ["sleep", "600", "--", "0"], env={"S": self.word}, stderr=subprocess.DEVNULL
        )
        self.named = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", self.name])
        self.victim = self.new_victim()

    def new_victim(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "600"])

    def facts(self, *, boxed: bool, weak: bool) -> dict[str, Any]:
        if self.victim.poll() is not None:
            self.victim = self.new_victim()
        return {
            "secret": str(self.place / "secret"),
            "target": str(self.place / "target"),
            "port": self.tcp.getsockname()[1],
            "abstract": self.word,
            "path": str(self.place / "sock"),
            "victim": self.victim.pid,
            "shm": self.key,
            "mark": self.mark,
            "setid": str(self.setid),
            "root": os.geteuid() == 0,
            "user": os.geteuid() != 0,
            "boxed": boxed,
            "weak": weak,
        }

    def close(self) -> None:
        ctypes.CDLL(None).shmctl(self.shm, 0, None)
        for p in (self.shown, self.named, self.victim):
            p.send_signal(signal.SIGCONT)
            p.kill()
            p.wait()
        subprocess.run(["pkill", "-9", "-x", "-f", f"sleep {self.mark}"], check=False)
        shutil.rmtree(self.place, ignore_errors=True)


def limits(raised: dict[str, Any]) -> Limits:
    values = {**SMALL, **raised}
    values = {k: int(v * MIB) if k in IN_MIB else v for k, v in values.items()}
    return Limits(memory_guarantee=0, **values)


def accepted(listener: socket.socket) -> bool:
    try:
        conn, _ = listener.accept()
    except TimeoutError:
        return False
    conn.close()
    return True


def through(act: dict[str, Any], r: Result, scene: Scene) -> bool:
    """Whether the act succeeded, judged from outside."""
    judge = act["judge"]
    if judge in ("count", "mib", "sum", "output", "cpu", "cores", "wall", "slow"):
        return _measured(act, r)
    text = r.stdout.decode(errors="replace")
    if judge in ("secret", "named"):
        return (scene.word if judge == "secret" else scene.name) in text
    if judge == "host_file":
        return (scene.place / "target").exists()
    if judge == "victim":
        time.sleep(0.1)
        return scene.victim.poll() is not None
    if judge in ("server", "unix", "path"):
        return accepted({"server": scene.tcp, "unix": scene.unix, "path": scene.path}[judge])
    if judge == "mark":
        time.sleep(0.2)
        argv = ["pgrep", "-x", "-f", f"sleep {scene.mark}"]
        return bool(subprocess.run(argv, capture_output=True, check=False).stdout)
    return "GOT" in text


def _measured(act: dict[str, Any], r: Result) -> bool:
    numbers = [int(w) for w in r.stdout.decode(errors="replace").split() if w.isdigit()]
    over = act.get("over", "memory")
    most = SMALL["processes"] if over == "processes" else SMALL["workspace_inodes"]
    cpu_s = r.usage.cpu_s if isinstance(r.usage.cpu_s, float) else 0.0
    return {
        "count": max(numbers, default=0) > most,
        "mib": max(numbers, default=0) > SMALL.get(over, 1 << 30) * 1.25,
        "sum": sum(numbers) > SMALL["memory"] * 1.25,
        "output": len(r.stdout) + len(r.stderr) > SMALL["output"] * MIB,
        "cpu": cpu_s > SMALL["cpu_s"] * 1.5 + 0.5,
        "cores": cpu_s > 1.35 * r.usage.wall_s,
        "wall": r.usage.wall_s > SMALL["wall_s"] + 1.5,
        "slow": r.usage.wall_s > 3,
    }[str(act["judge"])]


def run(act: dict[str, Any], scene: Scene, weak: dict[str, Any] | None) -> Result:
    weak = weak or {}
    plain = bool(weak.get("plain"))
    facts = scene.facts(boxed=not plain, weak=bool(weak))
    mounts = [Mount(str(scene.setid))] if act.get("mount") == "setid" else []
    if weak.get("mount"):
        mounts.append(Mount(str(scene.place) if weak["mount"] == "place" else facts["secret"]))
    profile = Profile(limits=limits(weak.get("limits", {})), mounts=tuple(mounts))
    python = sys.executable
    argv = (python, "-S", "-B", "-c", HEAD + act["code"], json.dumps(facts))
    if plain:
        with BareBox(profile) as bare:
            if weak.get("drop"):
                script = 'setpriv --reuid=61234 --clear-groups "$0" | grep -q euid=0 && echo GOT'
                return bare.execute(Command(("sh", "-c", script, str(scene.setid))))
            return bare.execute(Command(argv))
    without = weak.get("without", [])
    with NamespaceBox(profile, oneshot=True, without=without) as box:
        return box.execute(Command(argv))


def needed(act: dict[str, Any]) -> str:
    """Why the machine cannot show this act at all, or an empty string."""
    need = act.get("needs")
    try:
        if need == "route":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(("192.0.2.1", 9))
        elif need == "idle" and os.getloadavg()[0] > 1.2:
            return "other work keeps the processors busy"
        elif isinstance(need, int):
            socket.socket(need, socket.SOCK_SEQPACKET if need == 38 else socket.SOCK_STREAM).close()
    except OSError as e:
        return f"this machine has no such thing: {e}"
    return ""


def main() -> None:
    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
    acts = yaml.safe_load(Path(__file__).with_name("acts.yaml").read_text(encoding="utf-8"))
    only = sys.argv[1:]
    scene = Scene()
    found = {}
    try:
        for act in acts:
            if only and act["name"] not in only:
                continue
            row: dict[str, Any] = {"skipped": needed(act)}
            found[act["name"]] = row
            (scene.place / "target").unlink(missing_ok=True)
            r = run(act, scene, None)
            row["through"] = through(act, r, scene)
            row["ended"] = r.ended.value
            row["said"] = (r.stdout + r.stderr)[-300:].decode(errors="replace")
            if row["skipped"] or (act.get("root_only") and os.geteuid() != 0):
                continue
            r = run(act, scene, act["weak"])
            row["weak_through"] = through(act, r, scene)
            row["weak_said"] = (r.stdout + r.stderr)[-300:].decode(errors="replace") + r.ended.value
            (scene.place / "target").unlink(missing_ok=True)
    finally:
        scene.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
